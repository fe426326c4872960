"""Header bytes to the rows of all four levels, decoded; one code for originals and de-identified ones."""

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from catalog import text
from catalog.attributes import ATTRIBUTES, STORED, Attribute, Kind
from catalog.charset import Encodings, decode, encodings_of
from catalog.query import Level
from catalog.tables import folded_columns
from deid.alike import Place, Walker
from deid.elements import Buffer, WalkError, detect_encoding, elements, encoding_of

Row = dict[str, str | int | None]

MAX_VALUE_BYTES = 4096
"""Bytes of a value that are looked at; the longest wanted attribute that is matched has 194 characters."""

MAX_VALUES = 32
"""Values kept of a multi-valued attribute."""

_SPECIFIC_CHARACTER_SET = 0x00080005
_US_BYTES = 2
_IS_LIMIT = 2**31  # PS3.5 6.2: an integer string lies in -2^31 .. 2^31 - 1


@dataclass(frozen=True, slots=True)
class Attributes:
    """What one header says, as column values of the four tables; every column is there."""

    patient: Row = field(repr=False)
    study: Row = field(repr=False)
    series: Row = field(repr=False)
    image: Row = field(repr=False)

    def row(self, level: Level) -> Row:
        """Return the column values of one level."""
        return (self.patient, self.study, self.series, self.image)[level.depth]

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID, "" where the header has none."""
        return str(self.study["study_instance_uid"])

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID, "" where the header has none."""
        return str(self.series["series_instance_uid"])

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID, "" where the header has none."""
        return str(self.image["sop_instance_uid"])

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID, "" where the header has none."""
        return str(self.image["sop_class_uid"])


Reader = Callable[[str], str | int | None]


def _first(value: str) -> str:
    return value.split("\\", 1)[0]


def _integer(value: str) -> int | None:
    with suppress(ValueError):
        number = int(_first(value).strip(" \0"))
        if -_IS_LIMIT <= number < _IS_LIMIT:
            return number
    return None


def _several(value: str) -> str:
    parts = [text.clean(part) for part in value.split("\\", MAX_VALUES)[:MAX_VALUES]]
    return json.dumps(parts, ensure_ascii=False) if any(parts) else ""


def _reader(attribute: Attribute) -> Reader:
    if attribute.number:
        return _integer
    if attribute.multiple:
        return _several
    if attribute.kind is Kind.DATE:
        return lambda value: text.date(_first(value))
    if attribute.kind is Kind.TIME:
        return lambda value: text.time(_first(value))
    if attribute.vr == "LT":
        return text.prose
    if attribute.vr in {"LO", "SH"}:
        return text.clean  # a stray backslash in a description is kept, not cut at
    return lambda value: text.clean(_first(value))


def _folded(attribute: Attribute, value: str) -> tuple[str, ...]:
    """Return what stands in `folded_columns(attribute)` for a stored value."""
    names = json.loads(value) if attribute.multiple and value else [value]
    if attribute.keyword == "PatientName":
        return text.groups(names[0])
    every = [group for name in names for group in text.groups(name) if group]
    return (json.dumps(list(dict.fromkeys(every)), ensure_ascii=False) if every else "",)


_EMPTY: tuple[Row, ...] = tuple(
    {
        column: None if attribute.number else ""
        for attribute in STORED[level]
        for column in (attribute.column, *folded_columns(attribute))
    }
    for level in Level
)
_READERS = {
    attribute.tag: (attribute, _reader(attribute), folded_columns(attribute))
    for attribute in ATTRIBUTES.values()
    if not attribute.computed
}
_DEPTHS = {tag: attribute.level.depth for tag, (attribute, _read, _columns) in _READERS.items()}
_LAST_TAG = max(_DEPTHS)
_CHARACTER_SETS = (_SPECIFIC_CHARACTER_SET,)
_WALKER = Walker((*_DEPTHS, _SPECIFIC_CHARACTER_SET))


@lru_cache(maxsize=4096)
def _columns(
    tag: int, raw: bytes, order: str, encodings: Encodings
) -> tuple[tuple[str, str | int | None], ...]:
    """Return the columns that one value fills; the images of a series share nearly all of them."""
    attribute, read, folded = _READERS[tag]
    if attribute.vr == "US":
        return ((attribute.column, _unsigned(raw, order)),)
    value = read(decode(raw, encodings))
    filled = [(attribute.column, value)]
    if folded:
        filled += zip(folded, _folded(attribute, str(value)), strict=True)
    return tuple(filled)


def _unsigned(raw: bytes, order: str) -> int | None:
    return int(struct.unpack_from(f"{order}H", raw)[0]) if len(raw) >= _US_BYTES else None


def forget() -> None:
    """Forget the original values that were remembered for speed."""
    global _last  # noqa: PLW0603 - one for the process, as the cache is
    _last = None
    _columns.cache_clear()


def filled(level: Level, values: Mapping[str, str | int]) -> Row:
    """Return a whole row of one level from the values it has: the others empty, names folded."""
    row: Row = dict(_EMPTY[level.depth])
    for attribute in STORED[level]:
        value = values.get(attribute.column)
        if value is not None:
            row[attribute.column] = value
            if columns := folded_columns(attribute):
                row |= dict(zip(columns, _folded(attribute, str(value)), strict=True))
    return row


def extract(header: Buffer, transfer_syntax: str) -> Attributes:
    """Read the query attributes from the beginning of a data set (inflated, where its syntax is deflated).

    Pixel data need not be there. Of a header that is cut short or damaged, what stands before the damage
    is taken; nothing is ever raised for content.
    """
    return extract_known(header, transfer_syntax)[0]


def extract_known(header: Buffer, transfer_syntax: str) -> tuple[Attributes, bool]:
    """Read as `extract`, and tell whether no attribute can follow: more of the data set gives nothing new."""
    encoding = detect_encoding(header, encoding_of(transfer_syntax))
    begins = _WALKER.walk(header, encoding)
    if begins.over:
        return _like_the_last(header, encoding.order, begins.wanted), True
    rows = tuple(dict(row) for row in _EMPTY)
    encodings = _fill(rows, header, encoding.order, begins.wanted, ())
    with suppress(WalkError):
        for tag, _vr, _start, value, length, _end in elements(header, encoding, begins.end):
            if tag > _LAST_TAG:
                return Attributes(*rows), True
            encodings = _fill(rows, header, encoding.order, ((tag, value, length),), encodings)
    return Attributes(*rows), False


@dataclass(frozen=True, slots=True)
class _Seen:
    """A header that was read whole: the tags that had a value, those values, and what came of them."""

    tags: tuple[int, ...]
    order: str
    raws: tuple[bytes, ...] = field(repr=False)
    rows: tuple[Row, ...] = field(repr=False)
    encodings: Encodings


_last: _Seen | None = None


def _like_the_last(header: Buffer, order: str, places: Sequence[Place]) -> Attributes:
    """Read a header; where it has the attributes of the last one, only the values that differ are looked at.

    The images of a series differ in five or six of fifty.
    """
    global _last  # noqa: PLW0603 - as `forget`; threads at once cost each other the comparison, no more
    tags = tuple([tag for tag, _value, length in places if length])
    raws = tuple(
        [bytes(header[value : value + length][:MAX_VALUE_BYTES]) for _tag, value, length in places if length]
    )
    last = _last
    alike = (
        last is not None
        and last.tags == tags
        and last.order == order
        and (tags[:1] != _CHARACTER_SETS or last.raws[0] == raws[0])
    )
    if last is not None and alike:
        rows, encodings = tuple(dict(row) for row in last.rows), last.encodings
        for tag, raw, before in zip(tags, raws, last.raws, strict=True):
            if raw != before:
                rows[_DEPTHS[tag]].update(_columns(tag, raw, order, encodings))
    else:
        rows = tuple(dict(row) for row in _EMPTY)
        encodings = _fill(rows, header, order, places, ())
    if len(set(tags)) == len(tags) and _SPECIFIC_CHARACTER_SET not in tags[1:]:
        _last = _Seen(tags, order, raws, rows, encodings)
    return Attributes(*map(dict, rows))


def _fill(
    rows: tuple[Row, ...], header: Buffer, order: str, places: Iterable[Place], encodings: Encodings
) -> Encodings:
    """Put the values that lie at places of a header into rows; return the character sets from there on."""
    for tag, value, length in places:
        if length <= 0:  # empty, or a sequence of undefined length
            continue
        if tag in _DEPTHS:
            raw = bytes(header[value : value + min(length, MAX_VALUE_BYTES)])
            rows[_DEPTHS[tag]].update(_columns(tag, raw, order, encodings))
        elif tag == _SPECIFIC_CHARACTER_SET:
            encodings = encodings_of(bytes(header[value : value + min(length, MAX_VALUE_BYTES)]))
    return encodings
