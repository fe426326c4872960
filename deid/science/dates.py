import re
from datetime import date
from enum import Enum
from typing import NamedTuple

from deid.pseudonyms import LONGEST_SHIFT_DAYS

# PS3.5 Table 6.2-1, and the separators of ACR-NEMA.
_DATE = re.compile(rb"([0-9]{4})(\.?)([0-9]{2})\2([0-9]{2})")
_TIME = re.compile(rb"([01][0-9]|2[0-3])(?:(:?)([0-5][0-9])(?:\2([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?")
_DATE_TIME = re.compile(rb"([0-9]{4}(?:[0-9]{2}(?:[0-9]{2})?)?)([0-9]{2,6}(?:\.[0-9]{1,6})?)?([+-][0-9]{4})?")
_WHOLE_DATE_BYTES = 8


class Verdict(Enum):
    """How a published value compares with its original."""

    SAME = "same"
    ALTERED = "altered"  # as a chosen option says: cut down to the hour, capped, unknown terms left out
    DIFFERENT = "different"
    NOTHING = "nothing"  # the original is none of its kind: nothing there to be kept


class Times(NamedTuple):
    """What is compared of a date or time: days since the year 1 (None: not that exact), and the clock."""

    day: int | None
    clock: bytes
    zone: bytes


def read_times(vr: str, text: bytes) -> Times | None:
    """Return a DA, TM or DT value taken apart; None where it is none."""
    if vr == "TM":
        time = _TIME.fullmatch(text)
        return None if time is None else Times(None, text.replace(b":", b""), b"")
    if vr == "DA":
        match = _DATE.fullmatch(text)
        return None if match is None else _times(match[1] + match[3] + match[4], b"", b"")
    match = _DATE_TIME.fullmatch(text)
    return None if match is None else _times(match[1], match[2] or b"", match[3] or b"")


def moved(vr: str, original: bytes, published: bytes, *, coarse: bool) -> tuple[Verdict, int | None]:
    """Compare one date or time with its published form; returns the days it was moved back by, too.

    `coarse`: the clock may have been cut down to its hour.
    """
    before, after = read_times(vr, original), read_times(vr, published)
    if before is None:
        return Verdict.NOTHING, None
    if after is None or before.zone != after.zone or (before.day is None) != (after.day is None):
        return Verdict.DIFFERENT, None
    days = None if before.day is None or after.day is None else before.day - after.day
    if before.clock == after.clock:
        return Verdict.SAME, days
    if coarse and _hour(before.clock) == after.clock:
        return Verdict.ALTERED, days
    return Verdict.DIFFERENT, days


def _hour(clock: bytes) -> bytes:
    whole = clock.partition(b".")[0]
    return whole[:2] + b"0" * len(whole[2:])


def _times(day: bytes, clock: bytes, zone: bytes) -> Times | None:
    if len(day) < _WHOLE_DATE_BYTES:
        return Times(None, clock, zone)
    try:
        number = date(int(day[:4]), int(day[4:6]), int(day[6:])).toordinal()
    except ValueError:
        return None
    return None if number <= LONGEST_SHIFT_DAYS else Times(number, clock, zone)  # none that can be moved back
