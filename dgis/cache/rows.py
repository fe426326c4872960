"""Writing the cache's rows for a batch of entries and what the catalog said of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from dgis.cache.outcomes import Conflict, Duplicate, New, Outcome, Unreadable
from dgis.cache.scan import Condition, Found
from dgis.cache.sql import in_lists, location_of, location_values, storable, upsert
from dgis.cache.values import Location
from dgis.cache.verdicts import Kind
from dgis.tables import cache_conflict, cache_instance, cache_segment, cache_series

Judged = Sequence[tuple[Found, Outcome]]


@dataclass(slots=True)
class Recorded:
    """What a batch came to: instances added by series, per association too, and entries nobody needs."""

    added: Counter[int] = field(default_factory=Counter)
    added_by_association: dict[str, Counter[int]] = field(default_factory=dict)
    garbage: list[Location] = field(default_factory=list)
    held: int = 0

    def add(self, association: str, series_id: int) -> None:
        """Count one instance that is to be published."""
        self.added[series_id] += 1
        self.added_by_association.setdefault(association, Counter())[series_id] += 1


def record(connection: sa.Connection, gateway_id: str, judged: Judged) -> Recorded:
    """Write instance, conflict and segment rows of a batch; doing it again changes nothing."""
    batch = _Batch(connection, gateway_id, judged)
    for found, outcome in judged:
        match outcome:
            case New(instance_id, series_id):
                batch.add(found, instance_id, series_id)
            case Duplicate(instance_id, series_id, published):
                batch.duplicate(found, instance_id, series_id, published=published)
            case Conflict(instance_id, reason):
                batch.hold(found, Kind.DIFFERENT_BYTES, reason, instance_id)
            case Unreadable(reason):
                kind = Kind.UNREADABLE if found.condition is Condition.WHOLE else Kind.DAMAGED
                batch.hold(found, kind, reason, None)
    batch.write()
    checkpoint(connection, gateway_id, (found.location for found, _ in judged))
    return batch.recorded


def add_instance(connection: sa.Connection, gateway_id: str, found: Found, outcome: New) -> None:
    """Write the rows of one instance whose bytes were in the log all along."""
    batch = _Batch(connection, gateway_id, [(found, outcome)])
    batch.add(found, outcome.phi_instance_id, outcome.phi_series_id)
    batch.write()


def checkpoint(connection: sa.Connection, gateway_id: str, locations: Iterable[Location]) -> None:
    """Move the mark below which a segment need not be read again."""
    ends: dict[str, Location] = {}
    for location in locations:
        if location.segment_id not in ends or ends[location.segment_id].end < location.end:
            ends[location.segment_id] = location
    rows = [
        {"id": name, "gateway_id": gateway_id, "epoch": last.epoch, "indexed_to": last.end}
        for name, last in sorted(ends.items())
    ]
    update: dict[str, Any] = {name: sa.literal_column(f"excluded.{name}") for name in ("epoch", "indexed_to")}
    upsert(connection, cache_segment, rows, key=("id",), update=update)


def refresh_series(connection: sa.Connection, gateway_id: str, series_ids: Iterable[int]) -> None:
    """Count anew what eviction of these series would free; series without instances go."""
    total = sa.func.coalesce(
        sa.func.sum(sa.case((cache_instance.c.published, cache_instance.c.span), else_=0)), 0
    )
    for part in in_lists(sorted(set(series_ids))):
        mine = (cache_instance.c.gateway_id == gateway_id, cache_instance.c.phi_series_id.in_(part))
        counted = connection.execute(
            sa.select(cache_instance.c.phi_series_id, total)
            .where(*mine)
            .group_by(cache_instance.c.phi_series_id)
        )
        sums: dict[int, int] = {row[0]: int(row[1]) for row in counted}
        of_series = sa.and_(
            cache_series.c.gateway_id == gateway_id, cache_series.c.phi_series_id == sa.bindparam("series")
        )
        if sums:
            connection.execute(
                sa.update(cache_series).where(of_series).values(published_bytes=sa.bindparam("total")),
                [{"series": series_id, "total": value} for series_id, value in sums.items()],
            )
        gone = [{"series": series_id} for series_id in part if series_id not in sums]
        if gone:
            connection.execute(sa.delete(cache_series).where(of_series), gone)


class _Batch:
    """The rows of one batch, gathered against what the tables hold already."""

    def __init__(self, connection: sa.Connection, gateway_id: str, judged: Judged) -> None:
        self._connection = connection
        self._gateway_id = gateway_id
        self.recorded = Recorded()
        self._instances: list[dict[str, Any]] = []
        self._conflicts: list[dict[str, Any]] = []
        self._series: dict[int, int] = {}
        self._known = self._cached(
            [outcome.phi_instance_id for _, outcome in judged if isinstance(outcome, New | Duplicate)]
        )
        self._held = self._disputed(
            [
                storable(found.meta.sop_instance_uid)
                for found, outcome in judged
                if isinstance(outcome, Conflict | Unreadable)
            ]
        )

    def add(self, found: Found, instance_id: int, series_id: int) -> None:
        if instance_id in self._known:
            self._drop(found, self._known[instance_id])
            return
        self._known[instance_id] = found.location
        self._instances.append(
            {
                **location_values(self._gateway_id, found.location),
                "phi_instance_id": instance_id,
                "phi_series_id": series_id,
                "sop_instance_uid": storable(found.meta.sop_instance_uid),
                "transfer_syntax": storable(found.meta.transfer_syntax),
                "received_ms": found.meta.received_ms,
                "published": False,
            }
        )
        self._series[series_id] = max(self._series.get(series_id, 0), found.meta.received_ms)
        self.recorded.add(found.meta.association, series_id)

    def duplicate(self, found: Found, instance_id: int, series_id: int, *, published: bool) -> None:
        """Give the space back; but bytes that are nowhere else take the place of the lost ones."""
        if published and instance_id not in self._known:
            self.recorded.garbage.append(found.location)
        else:
            self.add(found, instance_id, series_id)

    def hold(self, found: Found, kind: Kind, reason: str, instance_id: int | None) -> None:
        key = (storable(found.meta.sop_instance_uid), found.location.sha256)
        if key in self._held:
            self._drop(found, self._held[key])
            return
        self._held[key] = found.location
        self.recorded.held += 1
        self._conflicts.append(
            {
                **location_values(self._gateway_id, found.location),
                "kind": kind.value,
                "phi_instance_id": instance_id,
                "sop_instance_uid": storable(found.meta.sop_instance_uid),
                "transfer_syntax": storable(found.meta.transfer_syntax),
                "calling_ae": storable(found.meta.calling_ae),
                "peer_address": storable(found.meta.peer_address),
                "reason": reason,
                "received_ms": found.meta.received_ms,
            }
        )

    def write(self) -> None:
        for table, rows in ((cache_instance, self._instances), (cache_conflict, self._conflicts)):
            if rows:
                self._connection.execute(sa.insert(table), rows)
        series = [
            {
                "gateway_id": self._gateway_id,
                "phi_series_id": number,
                "last_used_ms": used,
                "published_bytes": 0,
            }
            for number, used in sorted(self._series.items())
        ]
        update: dict[str, Any] = {"last_used_ms": sa.literal_column("excluded.last_used_ms")}
        upsert(self._connection, cache_series, series, key=("gateway_id", "phi_series_id"), update=update)

    def _drop(self, found: Found, kept: Location) -> None:
        if kept != found.location:  # equal: read a second time, these very bytes are in use
            self.recorded.garbage.append(found.location)

    def _cached(self, instance_ids: Sequence[int]) -> dict[int, Location]:
        known: dict[int, Location] = {}
        for part in in_lists(instance_ids):
            mine = cache_instance.c.gateway_id == self._gateway_id
            query = sa.select(cache_instance).where(mine, cache_instance.c.phi_instance_id.in_(part))
            known |= {row.phi_instance_id: location_of(row) for row in self._connection.execute(query)}
        return known

    def _disputed(self, uids: Sequence[str]) -> dict[tuple[str, bytes], Location]:
        held: dict[tuple[str, bytes], Location] = {}
        for part in in_lists(uids):
            mine = cache_conflict.c.gateway_id == self._gateway_id
            query = sa.select(cache_conflict).where(mine, cache_conflict.c.sop_instance_uid.in_(part))
            for row in self._connection.execute(query):
                held[row.sop_instance_uid, bytes(row.sha256)] = location_of(row)
        return held
