"""The sealed copy of the rows of a part: with keys and nodes, the catalog's originals can be made anew."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import sqlalchemy as sa

from catalog.attributes import STORED
from catalog.query import Level
from catalog.tables import PHI, contributor
from dgis.cache.sql import in_lists
from dgis.identity.wire import from_json
from dgis.publisher.about import SUPERSEDES, Contribution
from dgis.publisher.values import Part

VERSION = 2

Reasons = Mapping[int, str]  # of the originals that are sealed whole, by row
MakeRows = Callable[[Sequence[int], Reasons], bytes]


def sealed_rows(
    connection: sa.Connection, part: Part, gateway_id: str, supersedes: Sequence[str] = ()
) -> MakeRows:
    """Return what makes the rows of a part, as JSON, once the order of its originals is known.

    What a sealed original tells again when it is read, its own attributes, is left out. Kept is what came
    with it, what was decided of it, and what the rows above it say: these were filled by the first of
    several images, and which that was nobody can tell later. `supersedes` are the keys of the parts whose
    place it takes; the record says so as well, but there is none where everything is sealed whole.
    """
    came = _came(connection, [each.phi_instance_id for each in part.originals])
    said = _said(connection, part.phi_series_id)
    above = {level.value.lower(): _above(connection, level, part.phi_series_id) for level in _ABOVE}

    def rows(order: Sequence[int], reasons: Reasons) -> bytes:
        times = [came[each].received_ms for each in order]
        table = {
            "version": VERSION,
            **said,
            **above,
            "gateway": gateway_id,
            "planned_ms": part.planned_ms,
            "decided": part.decided,
            **({SUPERSEDES: [*supersedes]} if supersedes else {}),
            "received_ms": {
                "first": times[0],
                "steps": [after - before for before, after in pairwise(times)],
            },
            "locations": [came[each].location for each in order],
            "withheld": [reasons[each] for each in order if each in reasons],
        }
        return json.dumps(table, separators=(",", ":")).encode()

    return rows


_ABOVE = (Level.PATIENT, Level.STUDY, Level.SERIES)


def _came(connection: sa.Connection, phi_instance_ids: Sequence[int]) -> dict[int, sa.Row[Any]]:
    instance = PHI.instance.c
    found: dict[int, sa.Row[Any]] = {}
    for some in in_lists(phi_instance_ids):
        columns = sa.select(instance.id, instance.received_ms, instance.location)
        found |= {row.id: row for row in connection.execute(columns.where(instance.id.in_(some)))}
    return found


class SeriesKeys(NamedTuple):
    """Whose a series is: keys of patient and study, and its modality as it was sent."""

    patient: str
    study: str
    modality: str | None


def series_keys(connection: sa.Connection, phi_series_id: int) -> SeriesKeys:
    """Return whose a series is."""
    series = PHI.series.c
    columns = sa.select(series.patient_key, series.study_key, series.modality)
    return SeriesKeys(*connection.execute(columns.where(series.id == phi_series_id)).one())


def contribution(connection: sa.Connection, phi_series_id: int) -> Contribution:
    """Return who contributed a series."""
    said = _said(connection, phi_series_id)
    return Contribution(said["facility"], from_json(said["assertions"]))


def _said(connection: sa.Connection, phi_series_id: int) -> dict[str, Any]:
    series = PHI.series.c
    row = connection.execute(
        sa.select(
            series.patient_key,
            series.study_key,
            series.series_key,
            contributor.c.facility,
            contributor.c.assertions,
        )
        .join(contributor, contributor.c.id == series.contributor_id)
        .where(series.id == phi_series_id)
    ).one()
    return {**row._asdict(), "assertions": json.loads(row.assertions)}


def _above(connection: sa.Connection, level: Level, phi_series_id: int) -> dict[str, str | int]:
    """Return what the row of the series, or one above it, says; what it does not say is left out."""
    columns = [PHI.table(level).c[attribute.column] for attribute in STORED[level]]
    row = connection.execute(
        sa.select(*columns)
        .select_from(
            PHI.series.join(PHI.study, PHI.study.c.id == PHI.series.c.study_row).join(
                PHI.patient, PHI.patient.c.id == PHI.study.c.patient_row
            )
        )
        .where(PHI.series.c.id == phi_series_id)
    ).one()
    return {name: value for name, value in row._asdict().items() if value not in {None, ""}}
