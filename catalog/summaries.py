"""Counts over exactly what one caller sees, where the counts kept in the rows do not hold.

That is where grants divide what lies beneath a row, and where several contributors' rows stand for one
entity: their series are counted once, and their modalities united.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, func, select

from catalog.clearance import Access, Viewer
from catalog.query import Level
from catalog.sql import OneOf, Statements, json_list
from catalog.tables import Family

KEYS = {
    Level.PATIENT: ("patient_key",),
    Level.STUDY: ("study_key", "patient_key"),
    Level.SERIES: ("series_key", "study_key", "patient_key"),
}
"""The columns that name an entity across contributors, the most telling first."""

EntityKey = tuple[str, ...]


@dataclass(slots=True)
class Summary:
    """What lies beneath one entity, as far as it is visible."""

    instances: int = 0
    studies: set[str] = field(default_factory=set)
    series: set[tuple[str, str]] = field(default_factory=set)
    modalities: set[str] = field(default_factory=set)
    sop_classes: set[str] = field(default_factory=set)

    def value(self, keyword: str) -> int | tuple[str, ...]:
        """Return the value of a computed attribute."""
        return _VALUES[keyword](self)


_VALUES: dict[str, Callable[[Summary], int | tuple[str, ...]]] = {
    "NumberOfPatientRelatedStudies": lambda summary: len(summary.studies),
    "NumberOfPatientRelatedSeries": lambda summary: len(summary.series),
    "NumberOfPatientRelatedInstances": lambda summary: summary.instances,
    "NumberOfStudyRelatedSeries": lambda summary: len(summary.series),
    "NumberOfStudyRelatedInstances": lambda summary: summary.instances,
    "NumberOfSeriesRelatedInstances": lambda summary: summary.instances,
    "ModalitiesInStudy": lambda summary: tuple(sorted(filter(None, summary.modalities))),
    "SOPClassesInStudy": lambda summary: tuple(sorted(filter(None, summary.sop_classes))),
}

_STATEMENTS = Statements(64)


def summarise(
    connection: Connection, family: Family, viewer: Viewer, level: Level, keys: Iterable[EntityKey]
) -> dict[EntityKey, Summary]:
    """Count what the viewer sees beneath the entities at `level` with these keys."""
    wanted = set(keys)
    if not wanted:
        return {}
    prepared = _STATEMENTS.get(
        connection, (family.original, viewer.access, level), lambda: _statement(family, viewer.access, level)
    )
    listed = json_list(sorted({key[0] for key in wanted}))
    summaries = {key: Summary() for key in wanted}
    for row in prepared.rows(connection, {**viewer.bound, "keys": listed}):
        series_key, study_key, patient_key, modality, sop_classes, instances = row
        key = (series_key, study_key, patient_key)[Level.SERIES.depth - level.depth :]
        if key in summaries:
            summary = summaries[key]
            summary.instances += instances
            summary.studies.add(study_key)
            summary.series.add((study_key, series_key))
            summary.modalities.add(modality)
            summary.sop_classes.update(json.loads(sop_classes))
    return summaries


def _statement(family: Family, access: Access, level: Level) -> Select[Any]:
    series = family.series
    columns = [series.c[name] for name in (*KEYS[Level.SERIES], "modality", "sop_classes")]
    return select(*columns, _instances(family, access)).where(
        OneOf(series.c[KEYS[level][0]], bindparam("keys")),
        series.c.instance_count > 0,
        access.visible(family, Level.SERIES, series),
    )


def _instances(family: Family, access: Access) -> ColumnElement[int]:
    """How many instances of a series there are for this access: as its row says, where all can be had."""
    series, instance = family.series, family.instance
    if access.reach is None or not family.original:
        return series.c.instance_count
    lying = (
        select(func.count())
        .where(instance.c.series_row == series.c.id, access.lying(family, instance))
        .correlate(series)
        .scalar_subquery()
    )
    return case((access.counted_anew(family), lying), else_=series.c.instance_count)
