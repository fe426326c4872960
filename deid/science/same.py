import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deid.science.csa import csa_values
from deid.science.dates import Verdict, moved
from deid.science.rules import How
from deid.science.seen import Seen
from deid.values import VALUE_BYTES, little_endian

_OLDEST_YEARS = 90
_DAYS_A_YEAR = 365.25
_DAYS = {b"D": 1.0, b"W": 7.0, b"M": _DAYS_A_YEAR / 12, b"Y": _DAYS_A_YEAR}
_AGE_BYTES = 4


@dataclass(slots=True)
class Mapped:
    """What the values of one instance show of how dates and UIDs were mapped: days, and pairs of UIDs."""

    coarse: bool
    days: set[int] = field(default_factory=set)
    uids: list[tuple[bytes, bytes]] = field(default_factory=list)


def verdict(how: How, vr: str, ours: Seen, theirs: Seen, mapped: Mapped) -> Verdict:
    """Compare a published value (theirs) with its original (ours); `vr` is what the attribute has."""
    return _COMPARERS[how](vr, ours, theirs, mapped)


def is_sound(how: How, vr: str, ours: Seen) -> bool:
    """Whether an original value is one of its kind, so that something is lost with it."""
    if how is How.NUMBER:
        return _numbers(vr, ours) is not None
    if how is How.DIFFERENCE:
        return verdict(how, vr, ours, ours, Mapped(coarse=False)) is not Verdict.NOTHING
    return True


def _number(vr: str, ours: Seen, theirs: Seen, _mapped: Mapped) -> Verdict:
    if vr not in VALUE_BYTES and ours.value.strip(b" \0") == theirs.value.strip(b" \0"):
        return Verdict.SAME
    before = _numbers(vr, ours)
    if before is None:
        return Verdict.NOTHING
    return Verdict.SAME if before == _numbers(vr, theirs) else Verdict.DIFFERENT


def _numbers(vr: str, seen: Seen) -> object | None:
    """Return what two values with the same numbers have alike; None where they are no numbers."""
    size = VALUE_BYTES.get(vr)
    if size is not None:
        return None if len(seen.value) % size else _little(vr, seen)
    try:
        numbers = [float(part) if part.strip(b" \0") else None for part in seen.value.split(b"\\")]
    except ValueError:
        return None
    return numbers if all(one is None or math.isfinite(one) for one in numbers) else None


def _bytes(vr: str, ours: Seen, theirs: Seen, _mapped: Mapped) -> Verdict:
    before = _little(vr, ours)
    return Verdict.SAME if theirs.value in {before, before + b"\0"} else Verdict.DIFFERENT


def _csa(_vr: str, ours: Seen, theirs: Seen, _mapped: Mapped) -> Verdict:
    """Compare headers of which numbers were written anew: each says what it said."""
    after = csa_values(theirs.value)
    if after is None:
        return Verdict.DIFFERENT
    before = csa_values(ours.value) or {}
    kept = all(before.get(name) == values for name, values in after.items())
    return Verdict.ALTERED if kept else Verdict.DIFFERENT


def _little(vr: str, seen: Seen) -> bytes:
    turned = seen.encoding.order == ">" and seen.vr != "UN"
    return little_endian(vr, seen.value) if turned else seen.value


def _value(_vr: str, ours: Seen, theirs: Seen, _mapped: Mapped) -> Verdict:
    return Verdict.SAME if _parts(ours) == _parts(theirs) else Verdict.DIFFERENT


def _terms(_vr: str, ours: Seen, theirs: Seen, _mapped: Mapped) -> Verdict:
    # As readers take them that end a string at a NUL.
    before, after = ([part.partition(b"\0")[0].strip() for part in _parts(one)] for one in (ours, theirs))
    if before == after:
        return Verdict.SAME
    left = iter(before)
    return Verdict.ALTERED if all(term in left for term in after) else Verdict.DIFFERENT


def _age(_vr: str, ours: Seen, theirs: Seen, _mapped: Mapped) -> Verdict:
    before, after = ours.value.strip(b" \0"), theirs.value.strip(b" \0")
    if before == after:
        return Verdict.SAME
    if len(before) != _AGE_BYTES or not before[:3].isdigit() or before[3:] not in _DAYS:
        return Verdict.NOTHING
    years = int(before[:3]) * _DAYS[before[3:]] / _DAYS_A_YEAR
    capped = after == b"%03dY" % _OLDEST_YEARS and years > _OLDEST_YEARS - 1
    return Verdict.ALTERED if capped else Verdict.DIFFERENT


def _difference(vr: str, ours: Seen, theirs: Seen, mapped: Mapped) -> Verdict:
    before, after = _parts(ours), _parts(theirs)
    pairs = list(zip(before, after, strict=False))
    said = [moved(vr, original, published, coarse=mapped.coarse) for original, published in pairs if original]
    found = {one for one, _days in said}
    if Verdict.NOTHING in found or not found:
        return Verdict.NOTHING
    if len(before) != len(after) or Verdict.DIFFERENT in found:
        return Verdict.DIFFERENT
    mapped.days.update(days for _one, days in said if days is not None)
    return Verdict.ALTERED if Verdict.ALTERED in found else Verdict.SAME


def _uid(_vr: str, ours: Seen, theirs: Seen, mapped: Mapped) -> Verdict:
    before, after = _parts(ours), _parts(theirs)
    if len(before) != len(after) or any(
        bool(one) != bool(other) for one, other in zip(before, after, strict=True)
    ):
        return Verdict.DIFFERENT
    mapped.uids += zip(before, after, strict=True)
    return Verdict.SAME


def _parts(seen: Seen) -> list[bytes]:
    return [part.strip(b" \0") for part in seen.value.strip(b" \0").split(b"\\")]


_COMPARERS: Mapping[How, Callable[[str, Seen, Seen, Mapped], Verdict]] = {
    How.NUMBER: _number,
    How.VALUE: _value,
    How.TERMS: _terms,
    How.AGE: _age,
    How.DIFFERENCE: _difference,
    How.UID: _uid,
    How.BYTES: _bytes,
    How.CSA: _csa,
}
