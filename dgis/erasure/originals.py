"""The rows of a patient's originals in all tables, taken away in one transaction; bytes are destroyed after.

What the gateways' caches hold has no row from then on: each gateway's own worker writes over it
(dgis.cache.wipe). Parts on their way are dropped, so that nobody commits them; sealed companions are retired,
and the clean worker removes them from the nodes.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from catalog.erase import Erased, Originals, erase_originals, originals_of
from catalog.tables import PHI
from dgis.cache.publish_queue import State
from dgis.cache.rows import refresh_series
from dgis.cache.sql import in_lists
from dgis.commitment import rows as commitments
from dgis.publisher.planning import drop_part
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.publisher.values import PartState
from dgis.tables import cache_conflict, cache_instance, publish_job
from replica.intent import supersede
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken away: original rows, and originals in caches."""

    originals: Originals
    cached: int

    def counts(self) -> dict[str, int]:
        """The same, by the names of the table."""
        rows = self.originals
        return {
            "studies": rows.studies,
            "series": rows.series,
            "instances": rows.instances,
            "cached": self.cached,
        }


def take_away(connection: sa.Connection, patient_key: str, until_ms: int, now_ms: int) -> Taken:
    """Take away what was received of a patient until then; nothing is left to do the second time."""
    commitments.erase(connection, originals_of(patient_key, until_ms), now_ms)  # while they are known by UID
    erased = erase_originals(connection, patient_key, until_ms)
    cached = let_go(connection, erased, now_ms)
    _retire_companions(connection, erased.record_keys, now_ms)
    return Taken(erased.counts, cached)


def let_go(connection: sa.Connection, erased: Erased, now_ms: int) -> int:
    """Take what has no row any more out of all caches and plans; returns how many were cached."""
    cached = _uncache(connection, erased.instances)
    _unplan(connection, erased, now_ms)
    return cached


def _uncache(connection: sa.Connection, instances: Sequence[int]) -> int:
    series: dict[str, set[int]] = defaultdict(set)
    count = 0
    for some in in_lists(instances):
        gone = sa.delete(cache_instance).where(cache_instance.c.phi_instance_id.in_(some))
        returned = gone.returning(cache_instance.c.gateway_id, cache_instance.c.phi_series_id)
        for gateway_id, series_id in connection.execute(returned).all():
            series[gateway_id].add(series_id)
            count += 1
        disputes = cache_conflict.c.phi_instance_id.in_(some)
        connection.execute(sa.update(cache_conflict).where(disputes).values(phi_instance_id=None))
    for gateway_id, ids in sorted(series.items()):
        refresh_series(connection, gateway_id, ids)
    return count


def _unplan(connection: sa.Connection, erased: Erased, now_ms: int) -> None:
    """Drop the parts that hold something of it, and plan anew what else was in them."""
    parts: set[int] = set()
    for some in in_lists(erased.instances):
        planned = publish_part_instance.c.phi_instance_id.in_(some)
        parts.update(connection.scalars(sa.select(publish_part_instance.c.part_id).where(planned)))
    for some in in_lists(erased.series_gone):
        waiting = publish_part.c.state == PartState.WAITING.value
        of_series = publish_part.c.phi_series_id.in_(some)
        parts.update(connection.scalars(sa.select(publish_part.c.id).where(of_series, waiting)))
        connection.execute(sa.delete(publish_job).where(publish_job.c.phi_series_id.in_(some)))
    for part_id in sorted(parts):
        drop_part(connection, part_id)
    for some in in_lists(erased.series_left):
        due = sa.update(publish_job).where(publish_job.c.phi_series_id.in_(some))
        connection.execute(due.values(state=State.WAITING.value, due_ms=now_ms))


def _retire_companions(connection: sa.Connection, record_keys: Sequence[str], now_ms: int) -> None:
    for some in in_lists(record_keys):
        used = sa.select(PHI.instance.c.record_key).where(PHI.instance.c.record_key.in_(some))
        unused = set(some) - set(connection.scalars(used))
        if unused:
            supersede(connection, map(RecordKey, sorted(unused)), now_ms, Kind.SEALED)
