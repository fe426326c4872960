"""The sealed copy of the rows of a part: with keys and nodes, the catalog's originals can be made anew."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise

import sqlalchemy as sa

from catalog.tables import PHI, contributor
from dgis.cache.sql import in_lists

VERSION = 1


def sealed_rows(
    connection: sa.Connection, phi_series_id: int, phi_instance_ids: Sequence[int]
) -> Callable[[Sequence[int]], bytes]:
    """Return what makes the rows of a part, as JSON, once the order of its originals is known.

    What a sealed original tells again when it is read, its attributes, is left out: only what came with it
    is kept, and the keys that need no secret to be found again.
    """
    instance, series = PHI.instance.c, PHI.series.c
    received: dict[int, int] = {}
    for some in in_lists(phi_instance_ids):
        statement = sa.select(instance.id, instance.received_ms).where(instance.id.in_(some))
        received |= {row.id: row.received_ms for row in connection.execute(statement)}
    said = connection.execute(
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

    def rows(order: Sequence[int]) -> bytes:
        times = [received[each] for each in order]
        steps = [after - before for before, after in pairwise(times)]
        table = {
            "version": VERSION,
            **said._asdict(),
            "assertions": json.loads(said.assertions),
            "received_ms": {"first": times[0], "steps": steps},
        }
        return json.dumps(table, separators=(",", ":")).encode()

    return rows
