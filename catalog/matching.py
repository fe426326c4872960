"""Keys to criteria, by the rules of attribute matching (DICOM PS3.4 C.2.2.2); pure.

What comes out compares texts as `catalog.text` writes them, so that a criterion means the same to a database
and to a plain loop.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from catalog import text
from catalog.attributes import ATTRIBUTES, LEVELS, UNIQUE_KEYS, Attribute, Kind, supported
from catalog.query import Fault, InvalidQuery, Key, Level, Query

MAX_VALUES = 100_000
"""Values of one key; a list of UIDs may be long."""

MAX_KEYS = 256
MAX_WILDCARDS = 16
"""Wildcard characters in one value: each multiplies the work of a comparison."""

_WILD = re.compile(r"[*?]")
_STARS = re.compile(r"\*+")
_LAST_MOMENT = "235959.999999"


@dataclass(frozen=True, slots=True)
class Equals:
    """The value is this one (or one of these)."""

    values: tuple[str | int, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wildcard:
    """The value matches a pattern of `*` (any run, an empty one too) and `?` (one character)."""

    pattern: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Between:
    """The value is there and lies within both bounds; None leaves a side open."""

    low: str | None = field(repr=False)
    high: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grouped:
    """A person name: position by position, component groups match; None asks for nothing of a group."""

    groups: tuple[Equals | Wildcard | None, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Words:
    """A person name holds, for each of these, a word that begins with it (fuzzy matching)."""

    prefixes: tuple[str, ...] = field(repr=False)


Condition = Equals | Wildcard | Between | Grouped | Words


@dataclass(frozen=True, slots=True)
class Criterion:
    """An attribute fulfils at least one of the conditions."""

    attribute: Attribute
    any_of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """A date and a time together lie within both bounds, each (date, time) (PS3.4 C.2.2.2.5)."""

    date: Attribute
    time: Attribute
    low: tuple[str, str] = field(repr=False)
    high: tuple[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tree:
    """A query made ready: what to return, and what all has to hold."""

    level: Level
    returned: tuple[Attribute, ...]
    criteria: tuple[Criterion, ...]
    moments: tuple[Moment, ...]


def parse(query: Query) -> Tree:
    """Turn a query into a tree.

    Raises:
        InvalidQuery: the level is none of the root's, a unique key above it is missing (and relational
            queries were not negotiated), or a value is malformed.
    """
    check_level(query)
    check_hierarchy(query)
    if len(query.keys) > MAX_KEYS:
        raise InvalidQuery(Fault.SIZE, f"more than {MAX_KEYS} keys")
    if query.limit is not None and query.limit < 0:
        raise InvalidQuery(Fault.VALUE, "the limit is a number of matches, not less than 0")
    known = {
        attribute: key for key in query.keys if (attribute := supported(key.keyword, query.level)) is not None
    }
    matched = {attribute: key for attribute, key in known.items() if not key.universal}
    criteria = {attribute: criterion(attribute, key, fuzzy=query.fuzzy) for attribute, key in matched.items()}
    moments = tuple(_moments(criteria)) if query.combined_datetime else ()
    joined = {attribute for moment in moments for attribute in (moment.date, moment.time)}
    alone = tuple(
        each for attribute, each in criteria.items() if each is not None and attribute not in joined
    )
    return Tree(query.level, tuple(known), alone, moments)


def check_level(query: Query) -> None:
    """Refuse a level that the information model does not have (PS3.4 C.6.2.1)."""
    if query.level not in LEVELS[query.root]:
        raise InvalidQuery(Fault.LEVEL, f"{query.level.value} is no level of the {query.root.value} root")


def check_hierarchy(query: Query) -> None:
    """Refuse a query without the unique keys above its level, each a single value (PS3.4 C.4.1.2.2.1)."""
    if query.relational:
        return
    for level in LEVELS[query.root]:
        if level.depth >= query.level.depth:
            return
        keyword = UNIQUE_KEYS[level]
        key = query.key(keyword)
        values = [value for value in key.values if value.strip(" \0")] if key is not None else []
        if len(values) != 1 or _WILD.search(values[0]):
            raise InvalidQuery(
                Fault.UNIQUE_KEY,
                f"{keyword} must be one value at level {query.level.value} without relational queries",
            )


def criterion(attribute: Attribute, key: Key, *, fuzzy: bool) -> Criterion | None:
    """Return what a key with values asks of its attribute; None where every value is as good."""
    if len(key.values) > MAX_VALUES:
        raise InvalidQuery(Fault.SIZE, f"{key.keyword} has more than {MAX_VALUES} values")
    values = [value for raw in key.values if (value := text.asked(raw))]
    if attribute.kind is Kind.RETURNED or any(_STARS.fullmatch(value) for value in values):
        return None
    conditions = _CONDITIONS[attribute.kind](attribute, values)
    if fuzzy and attribute.keyword == "PatientName":
        conditions = [Words(found) for value in values if (found := text.words(value))]
    return Criterion(attribute, tuple(conditions)) if conditions else None


def _uids(attribute: Attribute, values: list[str]) -> list[Condition]:
    if any(_WILD.search(value) for value in values):
        raise InvalidQuery(Fault.VALUE, f"{attribute.keyword}: UIDs are listed, not matched by wildcards")
    return [Equals(tuple(dict.fromkeys(values)))]


def _texts(attribute: Attribute, values: list[str]) -> list[Condition]:
    return _plain_and_wild(attribute, [value[: text.MAX_CHARACTERS] for value in values])


def _plain_and_wild(attribute: Attribute, values: Iterable[str]) -> list[Condition]:
    listed = list(dict.fromkeys(values))
    plain = tuple(value for value in listed if not _WILD.search(value))
    wild: list[Condition] = [_wildcard(attribute, value) for value in listed if _WILD.search(value)]
    return ([Equals(plain)] if plain else []) + wild


def _wildcard(attribute: Attribute, value: str) -> Wildcard:
    pattern = _STARS.sub("*", value)
    if len(_WILD.findall(pattern)) > MAX_WILDCARDS:
        raise InvalidQuery(Fault.SIZE, f"{attribute.keyword} has more than {MAX_WILDCARDS} wildcards")
    return Wildcard(pattern)


def _names(attribute: Attribute, values: list[str]) -> list[Condition]:
    """A key without `=` matches any component group; with it, groups match position by position."""
    whole = [folded for value in values if "=" not in value and (folded := text.fold(value))]
    # `SMITH^*` asks for any given name, and a name without one has an empty one (PS3.5 6.2.1).
    whole += [folded for value in whole if (folded := _OPEN_COMPONENTS.sub("", value)) and folded != value]
    conditions = _plain_and_wild(attribute, whole)
    for value in values:
        if "=" in value:
            parts = [text.fold(part) for part in value.split("=", 3)[:3]]
            if any(parts):
                conditions.append(Grouped(tuple(_single(attribute, part) for part in parts)))
    return conditions


_OPEN_COMPONENTS = re.compile(r"(\^\**)+$")


def _single(attribute: Attribute, value: str) -> Equals | Wildcard | None:
    if not value or _STARS.fullmatch(value):
        return None
    return _wildcard(attribute, value) if _WILD.search(value) else Equals((value,))


def _dates(attribute: Attribute, values: list[str]) -> list[Condition]:
    conditions: list[Condition] = []
    for value in values:
        low, high = _bounds(attribute, value)
        days = [_date(attribute, bound) if bound else None for bound in (low, high)]
        conditions.append(Equals((days[0],)) if low == high and days[0] else Between(days[0], days[1]))
    return conditions


def _times(attribute: Attribute, values: list[str]) -> list[Condition]:
    """A time that leaves seconds open names all of its minute, as a bound it reaches to that minute's end."""
    conditions: list[Condition] = []
    for value in values:
        low, high = _bounds(attribute, value)
        earliest = _earliest(_time(attribute, low)) if low else None
        latest = _latest(_time(attribute, high)) if high else None
        conditions.append(Between(earliest, latest))
    return conditions


def _bounds(attribute: Attribute, value: str) -> tuple[str, str]:
    """Split a range (PS3.4 C.2.2.2.5); a single value is a range of itself."""
    low, dash, high = value.partition("-")
    low, high = low.strip(" "), high.strip(" ")
    if not dash:
        return low, low
    if not (low or high):
        raise InvalidQuery(Fault.VALUE, f"{attribute.keyword}: a range needs a bound")
    return low, high


def _date(attribute: Attribute, value: str) -> str:
    return text.date(value) or _malformed(attribute, "YYYYMMDD, or a range of such dates")


def _time(attribute: Attribute, value: str) -> str:
    return text.time(value) or _malformed(attribute, "HHMMSS, or a range of such times")


def _malformed(attribute: Attribute, form: str) -> str:
    raise InvalidQuery(Fault.VALUE, f"{attribute.keyword} must be {form}")


def _earliest(value: str) -> str:
    """Return the shortest text of that moment: what is as late or later does not compare as less."""
    whole, _dot, fraction = value.partition(".")
    if fraction.strip("0"):
        return f"{whole}.{fraction.rstrip('0')}"
    while len(whole) > len("HH") and whole.endswith("00"):
        whole = whole[:-2]
    return whole


def _latest(value: str) -> str:
    """Return the longest text of that moment, or of the end of what it leaves open."""
    if "." in value:
        return value.ljust(len(_LAST_MOMENT), "9")
    return value + _LAST_MOMENT[len(value) :]


def _numbers(attribute: Attribute, values: list[str]) -> list[Condition]:
    try:
        numbers = tuple(dict.fromkeys(int(value) for value in values))
    except ValueError:
        raise InvalidQuery(Fault.VALUE, f"{attribute.keyword} must be an integer") from None
    if any(abs(number) > _LARGEST_NUMBER for number in numbers):
        raise InvalidQuery(Fault.VALUE, f"{attribute.keyword} must be an integer of 32 bits")
    return [Equals(numbers)]


_LARGEST_NUMBER = 2**32

_CONDITIONS = {
    Kind.UID: _uids,
    Kind.TEXT: _texts,
    Kind.NAME: _names,
    Kind.DATE: _dates,
    Kind.TIME: _times,
    Kind.NUMBER: _numbers,
    Kind.SERIES: _texts,
}

# Dates whose time of day is an attribute of its own; combined matching makes the two one moment.
_PAIRS = tuple(
    (ATTRIBUTES[f"{name}Date"], ATTRIBUTES[f"{name}Time"])
    for name in (
        "Study",
        "Series",
        "Content",
        "Acquisition",
        "InstanceCreation",
        "PerformedProcedureStepStart",
        "PatientBirth",
    )
)


def _moments(criteria: dict[Attribute, Criterion | None]) -> Iterable[Moment]:
    for day, hour in _PAIRS:
        dates, times = criteria.get(day), criteria.get(hour)
        if dates is None or times is None or len(dates.any_of) != 1 or len(times.any_of) != 1:
            continue
        days, hours = dates.any_of[0], times.any_of[0]
        if isinstance(days, Between) and isinstance(hours, Between):
            low = (days.low or "00000000", hours.low or "00")
            high = (days.high or "99991231", hours.high or _LAST_MOMENT)
            yield Moment(day, hour, low, high)
