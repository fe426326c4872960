"""Criteria to SQL: the condition once for each shape of a criterion, the values each time.

A shape is a criterion without its values; queries of one shape share one prepared statement. Prefixes are
written as ranges besides the pattern, so that an ordinary index serves them on both engines (and so does
PostgreSQL under row-level security, where LIKE is no index condition).
"""

import re
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, or_, select

from catalog.attributes import Attribute, Kind
from catalog.clearance import Access
from catalog.matching import Between, Condition, Equals, Grouped, Moment, Tree, Wildcard, Words
from catalog.query import Level
from catalog.sql import (
    AnyElement,
    AnyElementLike,
    AnyElementOf,
    Like,
    OneOf,
    glob_pattern,
    json_list,
    like_pattern,
)
from catalog.tables import Family, folded_columns

Sql = ColumnElement[bool]
Values = dict[str, Any]

_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def shape(tree: Tree) -> Hashable:
    """Return what a prepared statement depends on: a tree without its values."""
    criteria = tuple(
        (each.attribute.keyword, tuple(_shape(condition) for condition in each.any_of))
        for each in tree.criteria
    )
    moments = tuple(each.date.keyword for each in tree.moments)
    return (tree.level, tuple(each.keyword for each in tree.returned), criteria, moments)


def conditions(tree: Tree, family: Family, access: Access) -> Iterator[Sql]:
    """Yield the SQL of every criterion; its parameters are named by their places in the tree."""
    for number, criterion in enumerate(tree.criteria):
        alternatives = (
            _condition(criterion.attribute, each, f"c{number}_{place}", family, access)
            for place, each in enumerate(criterion.any_of)
        )
        yield or_(*alternatives)
    for number, moment in enumerate(tree.moments):
        yield _moment(moment, family, f"m{number}")


def values(tree: Tree) -> Values:
    """Return the values for the parameters of `conditions`."""
    bound: Values = {}
    for number, criterion in enumerate(tree.criteria):
        for place, each in enumerate(criterion.any_of):
            _bind(each, f"c{number}_{place}", bound)
    for number, moment in enumerate(tree.moments):
        name = f"m{number}"
        bound |= {f"{name}_low_date": moment.low[0], f"{name}_low_time": moment.low[1]}
        bound |= {f"{name}_high_date": moment.high[0], f"{name}_high_time": moment.high[1]}
    return bound


def _shape(condition: Condition | None) -> Hashable:
    match condition:
        case Equals(values=listed):
            textual = isinstance(listed[0], str)
            return ("equals", textual, (1 if len(listed) == 1 else 0) if textual else len(listed))
        case Wildcard():
            return ("wildcard", *_prefix(condition))
        case Between(low=low, high=high):
            return ("between", low is None, high is None)
        case Grouped(groups=groups):
            return ("grouped", *(_shape(group) for group in groups))
        case Words(prefixes=prefixes):
            return ("words", len(prefixes))
    return None


def _prefix(condition: Wildcard) -> tuple[bool, bool]:
    """Return whether the pattern begins with plain text, and whether it is that and nothing more."""
    start = re.split(r"[*?]", condition.pattern, maxsplit=1)[0]
    return bool(start), condition.pattern == f"{start}*"


def _bind(condition: Condition | None, name: str, bound: Values) -> None:
    match condition:
        case Equals(values=listed):
            if isinstance(listed[0], str) and len(listed) > 1:
                bound[name] = json_list(str(value) for value in listed)
            else:
                bound |= {f"{name}_{place}": value for place, value in enumerate(listed)}
        case Wildcard(pattern=pattern):
            bound |= {f"{name}_glob": glob_pattern(pattern), f"{name}_like": like_pattern(pattern)}
            _bind_range(re.split(r"[*?]", pattern, maxsplit=1)[0], name, bound)
        case Between(low=low, high=high):
            bound |= {f"{name}_low": low, f"{name}_high": high}
        case Grouped(groups=parts) | Words(prefixes=parts):
            for place, part in enumerate(parts):
                if isinstance(part, str):
                    _bind_range(part, f"{name}_{place}", bound)
                else:
                    _bind(part, f"{name}_{place}", bound)
        case None:
            pass


def _bind_range(prefix: str, name: str, bound: Values) -> None:
    bound |= {f"{name}_from": prefix, f"{name}_below": _next(prefix)}


def _next(prefix: str) -> str:
    """Return the least text greater than all that begin with `prefix`, by code points."""
    head = prefix.rstrip(chr(_LAST_CODE_POINT))
    if not head:
        return chr(_LAST_CODE_POINT) * 8
    following = ord(head[-1]) + 1
    return head[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def _condition(attribute: Attribute, condition: Condition, name: str, family: Family, access: Access) -> Sql:
    if attribute.kind is Kind.SERIES:
        series = family.series.alias()
        source = series.c.modality if attribute.keyword == "ModalitiesInStudy" else series.c.sop_classes
        listed = source.name == "sop_classes"
        found = select(series.c.study_row).where(
            series.c.instance_count > 0,
            _holds(source, condition, name, listed=listed),
            access.visible(family, Level.SERIES, series),
            series.c.study_row == family.study.c.id,
        )
        return found.exists()
    row = family.table(attribute.level).c
    if isinstance(condition, Words):
        return and_(*(_word(family, f"{name}_{place}") for place in range(len(condition.prefixes))))
    columns: Sequence[ColumnElement[Any]] = [row[column] for column in folded_columns(attribute)]
    if isinstance(condition, Grouped):
        asked = [(place, part) for place, part in enumerate(condition.groups) if part is not None]
        several = len(columns) > 1
        return and_(
            *(
                _holds(columns[place if several else 0], part, f"{name}_{place}", listed=not several)
                for place, part in asked
            )
        )
    listed = attribute.keyword not in SOURCES and (attribute.multiple or len(columns) == 1)
    columns = columns or [row[SOURCES.get(attribute.keyword, attribute.column)]]
    return or_(*(_holds(column, condition, name, listed=listed) for column in columns))


SOURCES = {"AvailableTransferSyntaxUID": "transfer_syntax"}
"""Attributes whose value lies in a column of another name."""


def _holds(column: ColumnElement[Any], condition: Condition, name: str, *, listed: bool) -> Sql:
    """One comparison with a column, or with the elements of a JSON list column."""
    match condition:
        case Equals(values=several) if isinstance(several[0], str) and len(several) > 1:
            return AnyElementOf(column, bindparam(name)) if listed else OneOf(column, bindparam(name))
        case Equals(values=several):
            names: list[BindParameter[Any]] = [bindparam(f"{name}_{place}") for place in range(len(several))]
            return or_(*(AnyElement(column, each) if listed else column == each for each in names))
        case Wildcard():
            patterns: list[BindParameter[str]] = [bindparam(f"{name}_{form}") for form in ("glob", "like")]
            if listed:
                return AnyElementLike(column, *patterns)
            prefixed, whole = _prefix(condition)
            within = [_within(column, name)] if prefixed else [column != ""]
            return and_(*within, *([] if whole else [Like(column, *patterns)]))
        case Between(low=low, high=high):
            bounds = [] if low is None else [column >= bindparam(f"{name}_low")]
            bounds += [] if high is None else [column <= bindparam(f"{name}_high")]
            return and_(column != "", *bounds)
    raise TypeError(type(condition).__name__)


def _within(column: ColumnElement[Any], name: str) -> Sql:
    return and_(column >= bindparam(f"{name}_from"), column < bindparam(f"{name}_below"))


def _word(family: Family, name: str) -> Sql:
    word = family.name_word.c
    return family.patient.c.id.in_(select(word.patient_row).where(_within(word.word, name)))


def _moment(moment: Moment, family: Family, name: str) -> Sql:
    row = family.table(moment.date.level).c
    day, hour = row[moment.date.column], row[moment.time.column]
    low_day: BindParameter[str] = bindparam(f"{name}_low_date")
    high_day: BindParameter[str] = bindparam(f"{name}_high_date")
    return and_(
        day != "",
        day >= low_day,
        day <= high_day,
        or_(day > low_day, hour >= bindparam(f"{name}_low_time")),
        or_(day < high_day, hour <= bindparam(f"{name}_high_time")),
    )
