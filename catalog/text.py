"""How values are written down so that comparing the stored text is comparing the value."""

import re
import unicodedata
from functools import lru_cache

MAX_CHARACTERS = 256
"""Longest text kept for matching, per value; an index entry of PostgreSQL holds about 2,700 bytes."""

MAX_PROSE_CHARACTERS = 1024
"""Longest text kept of what is only returned."""

_DATE = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})")
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6})\d*)?)?)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_A_WORD = re.compile(r"[\W_]+")


def clean(value: str) -> str:
    """Return text without control characters and insignificant spaces (PS3.5 6.2), within bounds.

    PostgreSQL text holds no NUL; no header value that is matched needs a control character.
    """
    if not value.isprintable():
        value = _CONTROL.sub("", value)
    return value.strip(" ")[:MAX_CHARACTERS]


def prose(value: str) -> str:
    """Return text that may have lines, without NUL and trailing spaces, within bounds."""
    return value.replace("\0", "").rstrip(" ")[:MAX_PROSE_CHARACTERS]


def asked(value: str) -> str:
    """Return the text of a query as far as a database can hold it, without insignificant spaces."""
    return prose(value).strip(" ").encode("utf-8", "replace").decode("utf-8")


def date(value: str) -> str:
    """Return `YYYYMMDD` for a DA value, the old `YYYY.MM.DD` included; "" for what is no date."""
    found = _DATE.fullmatch(value.strip(" \0"))
    if found is None:
        return ""
    year, month, day = found.groups()
    return year + month + day if "01" <= month <= "12" and "01" <= day <= "31" else ""


def time(value: str) -> str:
    """Return `HH[MM[SS[.F]]]` for a TM value, the old `HH:MM:SS` included; "" for what is no time.

    Texts of this form compare like the moments they name: a shorter one is the beginning of what it
    leaves open.
    """
    found = _TIME.fullmatch(value.strip(" \0"))
    if found is None:
        return ""
    hours, minutes, seconds, fraction = found.groups()
    if hours > "23" or (minutes or "00") > "59" or (seconds or "00") > "60":
        return ""
    return hours + (minutes or "") + (seconds or "") + (f".{fraction}" if fraction else "")


@lru_cache(maxsize=4096)
def fold(group: str) -> str:
    """Return a name component group without what does not tell names apart.

    Case, width of characters, runs of spaces, spaces around components and trailing delimiters (PS3.5
    6.2.1: they may be left out).
    """
    text = unicodedata.normalize("NFKC", group).casefold()
    components = (" ".join(component.split()) for component in text.split("^"))
    return "^".join(components).rstrip("^ ")[:MAX_CHARACTERS]


def groups(name: str) -> tuple[str, str, str]:
    """Return the alphabetic, ideographic and phonetic group of a PN value, folded; "" where absent."""
    parts = [fold(part) for part in name.split("=", 3)[:3]] + ["", ""]
    return parts[0], parts[1], parts[2]


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """Return the distinct words of all groups of a name, folded, without accents, in order."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    bare = "".join(character for character in plain if not unicodedata.combining(character))
    found = (word[:64] for word in _NOT_A_WORD.split(unicodedata.normalize("NFC", bare)) if word)
    return tuple(dict.fromkeys(found))
