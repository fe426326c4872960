"""The statement that answers a tree from one family, and how its rows are read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, bindparam, exists, false, or_, select, tuple_

from catalog.attributes import Attribute
from catalog.clearance import Access
from catalog.conditions import SOURCES, conditions
from catalog.matching import Tree
from catalog.query import Level
from catalog.summaries import KEYS, EntityKey, Summary
from catalog.tables import Family

Value = str | int | tuple[str, ...]
Row = Sequence[Any]

MOST_ROWS = "most_rows"
"""The parameter that holds how many rows a statement returns at most."""

_SCOPE = ("patient_key", "study_key", "series_key")

_KEPT = {
    "NumberOfPatientRelatedStudies": "study_count",
    "NumberOfPatientRelatedSeries": "series_count",
    "NumberOfPatientRelatedInstances": "instance_count",
    "NumberOfStudyRelatedSeries": "series_count",
    "NumberOfStudyRelatedInstances": "instance_count",
    "NumberOfSeriesRelatedInstances": "instance_count",
    "ModalitiesInStudy": "modalities",
    "SOPClassesInStudy": "sop_classes",
}
"""Computed attributes and the column in the row of their level that holds them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of a row mean what: scope keys, whether its counts differ, counts, then values.

    `scope` is how many columns name the entity, from the patient down.
    """

    level: Level
    scope: int
    kept: tuple[Attribute, ...]
    plain: tuple[Attribute, ...]
    above: tuple[Attribute, ...]
    names: tuple[str, ...]
    lists: tuple[str, ...]
    numbers: tuple[str, ...]

    def entity(self, row: Row, level: Level) -> EntityKey:
        """Return the key of the entity at `level` that a row is or lies beneath."""
        if level is Level.IMAGE:
            return (row[self.scope - 1],)
        return tuple(row[level.depth :: -1])

    def to_count(self, group: Sequence[Row]) -> dict[Level, EntityKey]:
        """Return the entities whose counts must be taken anew for a group of rows of one entity."""
        levels = {attribute.level for attribute in self.above}
        if self.kept and any(row[self.scope] for row in group):
            levels.add(self.level)
        return {level: self.entity(group[0], level) for level in levels}

    def values(self, group: Sequence[Row], counted: Mapping[Level, Summary]) -> dict[str, Value]:
        """Return the values of one entity; what its first row does not know is taken from the others."""
        start = self.scope + 1
        found: dict[str, Any] = dict(zip(self.names, group[0][start:], strict=True))
        for row in group[1:]:
            more = zip(self.names, row[start:], strict=True)
            found |= {name: value for name, value in more if found[name] in {None, ""}}
        for name in self.lists:
            found[name] = _listed(found[name])
        for name in self.numbers:
            found[name] = "" if found[name] is None else found[name]
        for attribute in (*self.above, *(self.kept if self.level in counted else ())):
            found[attribute.keyword] = counted[attribute.level].value(attribute.keyword)
        return found


def layout(tree: Tree) -> Layout:
    """Sort what a tree wants returned by how it is come by."""
    return _layout(tree.level, tree.returned)


@lru_cache(maxsize=256)
def _layout(level: Level, returned: tuple[Attribute, ...]) -> Layout:
    computed = [attribute for attribute in returned if attribute.keyword in _KEPT]
    kept = tuple(attribute for attribute in computed if attribute.level is level)
    plain = tuple(attribute for attribute in returned if attribute.keyword not in _KEPT)
    return Layout(
        level,
        level.depth + 1,
        kept,
        plain,
        above=tuple(attribute for attribute in computed if attribute.level is not level),
        names=tuple(attribute.keyword for attribute in (*kept, *plain)),
        lists=tuple(
            each.keyword for each in (*kept, *plain) if each.multiple and each.keyword not in SOURCES
        ),
        numbers=tuple(each.keyword for each in plain if each.number),
    )


@lru_cache(maxsize=4096)
def _listed(stored: str) -> tuple[str, ...]:
    return tuple(json.loads(stored)) if stored else ()


def statement(tree: Tree, family: Family, access: Access, *, resumed: bool) -> Select[Any]:
    """Build the query of a tree on one family; where `resumed`, behind the entity bound as `after_n`."""
    row = family.table(tree.level)
    scoped = family.series if tree.level is Level.IMAGE else row
    names = _SCOPE[: tree.level.depth + 1]
    scope: list[Column[Any]] = [scoped.c[name] for name in names]
    order = [scoped.c[name] for name in KEYS[tree.level]] if tree.level in KEYS else []
    if tree.level is Level.IMAGE:
        # The pseudonym orders, so that a page cursor names no original.
        order = [row.c.instance_key if family.original else row.c.sop_instance_uid]
        scope += order
    shown = layout(tree)
    query = (
        select(
            *scope,
            _counts_differ(tree.level, family, access) if shown.kept else false(),
            *(row.c[_KEPT[attribute.keyword]] for attribute in shown.kept),
            *(_column(family, attribute) for attribute in shown.plain),
        )
        .select_from(_joined(family, tree.level))
        .where(*conditions(tree, family, access), _visible(tree.level, family, access))
        .order_by(*order, row.c.id)
        .limit(bindparam(MOST_ROWS))
    )
    if resumed:
        query = query.where(tuple_(*order) > tuple_(*(bindparam(f"after_{n}") for n in range(len(order)))))
    return query


def _column(family: Family, attribute: Attribute) -> Column[Any]:
    return family.table(attribute.level).c[SOURCES.get(attribute.keyword, attribute.column)]


def _joined(family: Family, level: Level) -> Any:  # noqa: ANN401 - Table or Join, told apart by no one
    joined: Any = family.patient
    if level.depth >= Level.STUDY.depth:
        joined = joined.join(family.study, family.study.c.patient_row == family.patient.c.id)
    if level.depth >= Level.SERIES.depth:
        joined = joined.join(family.series, family.series.c.study_row == family.study.c.id)
    if level is Level.IMAGE:
        joined = joined.join(family.instance, family.instance.c.series_row == family.series.c.id)
    return joined


def _visible(level: Level, family: Family, access: Access) -> ColumnElement[bool]:
    decided = Level.SERIES if level is Level.IMAGE else level
    row = family.table(decided)
    seen = (row.c.instance_count > 0) & access.visible(family, decided, row)
    return seen & access.lying(family, family.instance) if level is Level.IMAGE else seen


def _counts_differ(level: Level, family: Family, access: Access) -> ColumnElement[bool]:
    """Whether the stored counts are not this caller's.

    Grants divide the row, others share the entity, or something lies in a cache out of reach.
    """
    row = family.table(level)
    other = row.alias()
    shared = exists().where(
        *(other.c[name] == row.c[name] for name in KEYS[level]),
        other.c.contributor_id != row.c.contributor_id,
    )
    return or_(shared, access.divided(level, row), access.counted_anew(family))
