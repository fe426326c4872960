"""The statement that answers a tree from one family, and how its rows are read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """Which columns of a row mean what: scope keys, whether its counts hold, counts, then values."""

    level: Level
    plain: tuple[Attribute, ...]
    kept: tuple[Attribute, ...]
    above: tuple[Attribute, ...]

    @property
    def scope(self) -> int:
        """How many columns name the entity."""
        return self.level.depth + 1

    @property
    def first_kept(self) -> int:
        """The place of the first count; before it stands whether the counts hold."""
        return self.scope + 1

    def entity(self, row: Row, level: Level) -> EntityKey:
        """Return the key of the entity at `level` that a row is or lies beneath."""
        named = dict(zip(_SCOPE, row, strict=False))
        return tuple(named[name] for name in KEYS[level])

    def to_count(self, group: Sequence[Row]) -> dict[Level, EntityKey]:
        """Return the entities whose counts must be taken anew for a group of rows of one entity."""
        levels = {attribute.level for attribute in self.above}
        if self.kept and any(row[self.scope] for row in group):
            levels.add(self.level)
        return {level: self.entity(group[0], level) for level in levels}

    def values(self, group: Sequence[Row], counted: Mapping[Level, Summary]) -> dict[str, Value]:
        """Return the values of one entity; what its first row does not know is taken from the others."""
        found: dict[str, Value] = {}
        for attribute in self.above:
            found[attribute.keyword] = counted[attribute.level].value(attribute.keyword)
        for place, attribute in enumerate(self.kept, self.first_kept):
            if self.level in counted:
                found[attribute.keyword] = counted[self.level].value(attribute.keyword)
            else:
                found[attribute.keyword] = _value(attribute, group[0][place])
        for place, attribute in enumerate(self.plain, self.first_kept + len(self.kept)):
            known = (row[place] for row in group if row[place] not in {None, ""})
            found[attribute.keyword] = _value(attribute, next(known, None))
        return found


def layout(tree: Tree) -> Layout:
    """Sort what a tree wants returned by how it is come by."""
    computed = [attribute for attribute in tree.returned if attribute.keyword in _KEPT]
    return Layout(
        tree.level,
        plain=tuple(attribute for attribute in tree.returned if attribute.keyword not in _KEPT),
        kept=tuple(attribute for attribute in computed if attribute.level is tree.level),
        above=tuple(attribute for attribute in computed if attribute.level is not tree.level),
    )


def _value(attribute: Attribute, stored: str | int | None) -> Value:
    if attribute.multiple and attribute.keyword not in SOURCES:
        return tuple(json.loads(str(stored))) if stored else ()
    return "" if stored is None else stored


def statement(tree: Tree, family: Family, access: Access, *, resumed: bool) -> Select[Any]:
    """Build the query of a tree on one family; where `resumed`, behind the entity bound as `after_n`."""
    row = family.table(tree.level)
    scoped = family.series if tree.level is Level.IMAGE else row
    names = _SCOPE[: tree.level.depth + 1]
    scope: list[Column[Any]] = [scoped.c[name] for name in names]
    order = [scoped.c[name] for name in KEYS[tree.level]] if tree.level in KEYS else []
    if tree.level is Level.IMAGE:
        scope.append(row.c.sop_instance_uid)
        order = [row.c.sop_instance_uid]
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
    return (row.c.instance_count > 0) & access.visible(family, decided, row)


def _counts_differ(level: Level, family: Family, access: Access) -> ColumnElement[bool]:
    """Whether the stored counts are not this caller's: grants divide the row, or others share the entity."""
    row = family.table(level)
    other = row.alias()
    shared = exists().where(
        *(other.c[name] == row.c[name] for name in KEYS[level]),
        other.c.contributor_id != row.c.contributor_id,
    )
    return or_(shared, access.divided(level, row))
