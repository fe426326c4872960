import re
from array import array
from datetime import date, timedelta
from functools import cache

from pydicom.datadict import dictionary_VM as pydicom_vm

# PS3.5 Table 6.2-1, read generously where vendors are known to be (spaces inside the padding, 16 characters
# exceeded by a careless printf), never so that letters pass.
_DECIMAL = rb" *[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[Ee][+-]?[0-9]{1,3})? *"
_INTEGER = rb" *[+-]?[0-9]{1,12} *"
_NUMBERS = {
    vr: re.compile(rb"(?:%b)?(?:\\(?:%b)?)*[ \0]*" % (one, one), re.ASCII)
    for vr, one in {"DS": _DECIMAL, "IS": _INTEGER}.items()
}
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})|([0-9]{4})\.([0-9]{2})\.([0-9]{2})", re.ASCII)
_TIME_PARTS = r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
_TIME = re.compile(_TIME_PARTS, re.ASCII)
_OLD_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9](?:\.[0-9]{1,6})?)", re.ASCII)
_DATE_TIME = re.compile(
    rf"([0-9]{{4}})(?:([0-9]{{2}})(?:([0-9]{{2}})({_TIME_PARTS})?)?)?([+-](?:0[0-9]|1[0-4])[0-5][0-9])?",
    re.ASCII,
)
_ZONE = re.compile(r"[+-](?:0[0-9]|1[0-4])[0-5][0-9]", re.ASCII)
_AGE = re.compile(r"([0-9]{3})([DWMY])", re.ASCII)
_OLDEST_YEARS = 90  # HIPAA Safe Harbor groups all ages of 90 and above


# Bytes of one value of a binary VR, and the words a byte order reverses within it (PS3.5 7.3).
VALUE_BYTES = {"AT": 4, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}
WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_WORDS = {"OW": "H", "OF": "I", "OL": "I", "OD": "Q", "OV": "Q"} | {
    vr: {2: "H", 4: "I", 8: "Q"}[size] for vr, size in VALUE_BYTES.items()
}
_WORDS["AT"] = "H"

TEXT_VRS = frozenset({"LO", "SH", "LT", "ST", "UT", "UC"})
UNBROKEN_VRS = frozenset({"LT", "ST", "UT", "UR"})  # a backslash is a character there (PS3.5 6.2)


def plain_text(raw: bytes) -> str | None:
    """Return trimmed text where the bytes are printable ASCII, else None.

    Whatever the character set says: published text never depends on one, nor holds an escape sequence.
    """
    trimmed = raw.strip(b" \0")
    if not trimmed.isascii():
        return None
    text = trimmed.decode("ascii")
    return text if text.isprintable() else None


def are_numbers(vr: str, raw: bytes) -> bool:
    """Whether the bytes are decimal (DS) or integer (IS) strings, empty ones among them."""
    return _NUMBERS[vr].fullmatch(raw) is not None


def shifted_date(text: str, days: int) -> str | None:
    """Return a DA value moved back by whole days; None where it is no date of the calendar."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(part) for part in match.groups() if part)
    moved = _moved(year, month, day, days)
    return None if moved is None else f"{moved.year:04}{moved.month:02}{moved.day:02}"


def shifted_date_time(text: str, days: int, *, coarse: bool = False) -> str | None:
    """Return a DT value moved back by whole days, in the precision it came in; None where it is invalid.

    A coarse one is cut down to its hour.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, clock, zone = match.groups()
    moved = _moved(int(year), int(month or 1), int(day or 1), days)
    if moved is None:
        return None
    if clock and coarse:
        clock = whole_hour(clock)
    parts = (f"{moved.year:04}", f"{moved.month:02}" if month else "", f"{moved.day:02}" if day else "")
    return "".join(parts) + (clock or "") + (zone or "")


def _moved(year: int, month: int, day: int, days: int) -> date | None:
    try:
        return date(year, month, day) - timedelta(days=days)
    except (ValueError, OverflowError):
        return None


def valid_time(text: str, *, coarse: bool = False) -> str | None:
    """Return a TM value in today's form (the colons of ACR-NEMA removed); None where it is no time.

    A coarse one is cut down to its hour.
    """
    old = _OLD_TIME.fullmatch(text)
    time = "".join(old.groups()) if old else text
    if not _TIME.fullmatch(time):
        return None
    return whole_hour(time) if coarse else time


def whole_hour(time: str) -> str:
    """Return a time (`HH`, `HHMM`, `HHMMSS`, `HHMMSS.F`) cut down to its hour; the day stays the same."""
    hour, minutes = time[:2], time[2:].partition(".")[0]
    return hour + "0" * len(minutes)


def valid_zone(text: str) -> bool:
    """Whether the text is an offset from UTC (`+0100`)."""
    return _ZONE.fullmatch(text) is not None


def capped_age(text: str) -> str | None:
    """Return an AS value, ages above 90 years as 090Y; None where it is no age."""
    match = _AGE.fullmatch(text)
    if match is None:
        return None
    years = int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[match[2]]
    return f"{_OLDEST_YEARS:03}Y" if years >= _OLDEST_YEARS else text


def little_endian(vr: str, raw: bytes) -> bytes:
    """Return a big endian value with its words turned round."""
    code = _WORDS.get(vr)
    if code is None:
        return raw
    words = array(code)
    whole = len(raw) - len(raw) % words.itemsize
    words.frombytes(raw[:whole])
    words.byteswap()
    return words.tobytes() + raw[whole:]


@cache
def value_limits(tag: int) -> tuple[int, int | None]:
    """Return the least and the greatest number of values PS3.6 gives an attribute; None is no limit."""
    try:
        text = pydicom_vm(tag)
    except KeyError:
        return 1, None
    least, _, most = text.partition(" ")[0].partition("-")
    if not most:
        return int(least), int(least)
    return int(least), None if most.endswith("n") else int(most)


def count_fits(tag: int, count: int) -> bool:
    """Whether an attribute may have so many values; none at all is always possible."""
    _least, most = value_limits(tag)
    return most is None or count <= most
