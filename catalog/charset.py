"""Bytes of a header to text, by Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1); never raises."""

import re
from functools import lru_cache

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

Encodings = tuple[str, ...]

_ESCAPE = b"\x1b"
_PARTS = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
# These codecs read the escape sequence itself; between it and the next every byte belongs to a character,
# so a byte that looks like a delimiter is none (PS3.5 6.1.2.5.3: a delimiter comes after a switch back).
_STATEFUL = frozenset({"iso2022_jp", "iso2022_jp_2"})
_DELIMITER = re.compile(rb"[\\^=\r\n\f]")
_DEFAULT = python_encoding[""]


@lru_cache(maxsize=256)
def encodings_of(defined_terms: bytes) -> Encodings:
    """Return the Python codecs named by the value of (0008,0005); () where it names none that is known."""
    terms = defined_terms.decode("ascii", "replace").strip(" \0").split("\\")
    known = [_codec(term.strip(" \0")) for term in terms]
    return tuple(codec for codec in known if codec) if any(terms) else ()


def _codec(term: str) -> str | None:
    canonical = (
        term.upper().replace("-", "_").replace("ISO IR", "ISO_IR").replace("ISO_2022_IR_", "ISO 2022 IR ")
    )
    return python_encoding.get(canonical) or python_encoding.get(term)


def decode(value: bytes, encodings: Encodings) -> str:
    """Return the text of one element value, all its values and component groups together.

    What does not decode is replaced character by character. Bytes beyond ASCII with no (known) character
    set declared are read as UTF-8 where they are that, else as Latin-1: senders that forget the
    declaration are many.
    """
    if value.isascii() and _ESCAPE not in value:
        return value.decode("ascii")
    if _ESCAPE in value and encodings:
        return "".join(_decode_part(part, encodings) for part in _PARTS.findall(value))
    if encodings and encodings[0] != _DEFAULT:
        return value.decode(encodings[0], "replace")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _decode_part(part: bytes, encodings: Encodings) -> str:
    """Decode up to the next escape sequence (code extensions, PS3.5 6.1.2.5)."""
    if not part.startswith(_ESCAPE):
        return part.decode(encodings[0], "replace")
    for size in (3, 4):
        codec = CODES_TO_ENCODINGS.get(part[:size])
        if codec in _STATEFUL:
            return part.decode(codec, "replace")
        if codec is not None:
            return _decode_until_delimiter(part[size:], codec, encodings[0])
    return part[1:].decode(encodings[0], "replace")


def _decode_until_delimiter(part: bytes, codec: str, first: str) -> str:
    """A delimiter ends the extension: what follows is in the first character set again (PS3.5 6.1.2.5.3)."""
    found = _DELIMITER.search(part)
    stop = found.start() if found else len(part)
    return part[:stop].decode(codec, "replace") + part[stop:].decode(first, "replace")
