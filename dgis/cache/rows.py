"""Writing the cache's rows for a batch of entries and what the catalog said of them."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from catalog.sql import OneOf, OneOfIds, Statements, json_list
from dgis.cache.outcomes import Conflict, Duplicate, New, Outcome, Unreadable
from dgis.cache.scan import Condition, Found
from dgis.cache.sql import Upsert, excluded, in_lists, location_of, location_values, storable
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
    _MARKS.run(connection, rows)


_MARKS = Upsert(cache_segment, key=("id",), update=excluded("epoch", "indexed_to"))
_SERIES = Upsert(cache_series, key=("gateway_id", "phi_series_id"), update=excluded("last_used_ms"))
_STATEMENTS = Statements(8)


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
            _insert(self._connection, table, rows)
        series = [
            {
                "gateway_id": self._gateway_id,
                "phi_series_id": number,
                "last_used_ms": used,
                "published_bytes": 0,
            }
            for number, used in sorted(self._series.items())
        ]
        _SERIES.run(self._connection, series)

    def _drop(self, found: Found, kept: Location) -> None:
        if kept != found.location:  # equal: read a second time, these very bytes are in use
            self.recorded.garbage.append(found.location)

    def _cached(self, instance_ids: Sequence[int]) -> dict[int, Location]:
        if not instance_ids:
            return {}
        lookup = _STATEMENTS.get(self._connection, "cached", _by_instance)
        found = lookup.run(self._connection, {"gateway": self._gateway_id, "ids": json.dumps(instance_ids)})
        return {row.phi_instance_id: location_of(row) for row in found}

    def _disputed(self, uids: Sequence[str]) -> dict[tuple[str, bytes], Location]:
        if not uids:
            return {}
        lookup = _STATEMENTS.get(self._connection, "disputed", _by_uid)
        found = lookup.run(self._connection, {"gateway": self._gateway_id, "uids": json_list(uids)})
        return {(row.sop_instance_uid, bytes(row.sha256)): location_of(row) for row in found}


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        columns = tuple(rows[0])
        insert = _STATEMENTS.get(connection, (table.name, columns), lambda: sa.insert(table), columns)
        insert.run_each(connection, rows)


def _by_instance() -> sa.Select[Any]:
    columns = cache_instance.c
    listed = OneOfIds(columns.phi_instance_id, sa.bindparam("ids"))
    return sa.select(cache_instance).where(columns.gateway_id == sa.bindparam("gateway"), listed)


def _by_uid() -> sa.Select[Any]:
    columns = cache_conflict.c
    listed = OneOf(columns.sop_instance_uid, sa.bindparam("uids"))
    return sa.select(cache_conflict).where(columns.gateway_id == sa.bindparam("gateway"), listed)
