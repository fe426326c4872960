"""Making room: least recently used series first, and of them only what is safely published.

Order of a round: hold the extents alone, delete the rows (the commit point), free the bytes. A crash after
the commit leaves bytes without rows, which the sweep at the next start frees.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from dgis import failpoints
from dgis.cache.compaction import Compactor
from dgis.cache.files import SegmentFiles
from dgis.cache.reclaim import Claims, Reclaimer
from dgis.cache.rows import refresh_series
from dgis.cache.space import Space
from dgis.cache.sql import in_lists, location_of, reading
from dgis.cache.values import Location
from dgis.tables import cache_conflict, cache_instance, cache_series

_log = structlog.get_logger(__name__)
_ROUND_INSTANCES = 2000  # freed with one commit: enough that whole segments go at once
_SERIES_AT_ONCE = 50
_HIGH_WATER = 0.90  # of max_bytes: above it `run_once` evicts
_LOW_WATER = 0.80  # of max_bytes: down to it


@dataclass(frozen=True, slots=True)
class Evictions:
    """What an eviction came to; `in_use` instances were being read and stay."""

    instances: int
    bytes: int
    in_use: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    table: sa.Table
    row_id: int
    phi_series_id: int | None
    location: Location


class Evictor:
    """Frees what may be freed; any process of the gateway may run it, also several at once."""

    def __init__(self, files: SegmentFiles, engine: sa.Engine, gateway_id: str, space: Space) -> None:
        self._engine = engine
        self._files = files
        self._gateway_id = gateway_id
        self._space = space
        self._reclaimer = Reclaimer(files, engine, gateway_id)
        self._compactor = Compactor(files, engine, gateway_id)

    def run_once(self) -> Evictions:
        """Evict to the low water mark where the cache is above the high one, or the disk near its floor."""
        used = self._space.used_bytes()
        full = used > self._space.max_bytes * _HIGH_WATER
        beyond = used - int(self._space.max_bytes * _LOW_WATER) if full else 0
        short = 2 * self._space.free_floor_bytes - self._space.free_bytes()
        wanted = max(beyond, short)
        if short > 0:
            wanted -= self._files.drop_spares()
        return self.evict(wanted) if wanted > 0 else Evictions(0, 0, 0)

    def evict(self, target_bytes: int | None = None) -> Evictions:
        """Free at least so many bytes, or with None everything that may be freed."""
        instances = freed = in_use = 0
        candidates = self._candidates()
        while target_bytes is None or freed < target_bytes:
            part = _round(candidates, None if target_bytes is None else target_bytes - freed)
            if not part:
                break
            gone = self._free(part)
            instances, in_use = instances + len(gone), in_use + len(part) - len(gone)
            freed += sum(each.location.span for each in gone)
        if not self._reclaimer.can_punch:
            self._compactor.run_once()
        self._space.forget()
        if instances:
            _log.info("cache_evicted", instances=instances, bytes=freed, in_use=in_use)
        return Evictions(instances, freed, in_use)

    def _free(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        with Claims(self._files) as claims:
            held = [each for each in candidates if claims.claim(each.location)]
            with self._engine.begin() as connection:
                for table in (cache_instance, cache_conflict):
                    for ids in in_lists([each.row_id for each in held if each.table is table]):
                        connection.execute(sa.delete(table).where(table.c.id.in_(ids)))
                series = [each.phi_series_id for each in held if each.phi_series_id is not None]
                refresh_series(connection, self._gateway_id, series)
                failpoints.hit("cache.before_evict_commit")
            failpoints.hit("cache.after_evict_commit")
            self._reclaimer.free_claimed(claims)
        return held

    def _candidates(self) -> Iterator[_Candidate]:
        yield from self._decided()
        after = (-1, -1)
        while page := self._series(after):
            for after in page:  # where the next page begins
                yield from self._published(after[1])

    def _decided(self) -> list[_Candidate]:
        """Return bytes an operator decided against."""
        query = sa.select(cache_conflict).where(
            cache_conflict.c.gateway_id == self._gateway_id, cache_conflict.c.resolved_ms.is_not(None)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(cache_conflict.c.resolved_ms)).all()
        return [_Candidate(cache_conflict, row.id, None, location_of(row)) for row in rows]

    def _series(self, after: tuple[int, int]) -> list[tuple[int, int]]:
        """Return the next series that hold published bytes, as (last used, series), least recent first."""
        key = sa.tuple_(cache_series.c.last_used_ms, cache_series.c.phi_series_id)
        query = (
            sa.select(cache_series.c.last_used_ms, cache_series.c.phi_series_id)
            .where(
                cache_series.c.gateway_id == self._gateway_id,
                cache_series.c.published_bytes > 0,
                key > sa.tuple_(*map(sa.literal, after)),
            )
            .order_by(cache_series.c.last_used_ms, cache_series.c.phi_series_id)
            .limit(_SERIES_AT_ONCE)
        )
        with reading(self._engine) as connection:
            return [(row.last_used_ms, row.phi_series_id) for row in connection.execute(query)]

    def _published(self, phi_series_id: int) -> list[_Candidate]:
        query = sa.select(cache_instance).where(
            cache_instance.c.gateway_id == self._gateway_id,
            cache_instance.c.phi_series_id == phi_series_id,
            cache_instance.c.published.is_(True),
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(cache_instance.c.received_ms)).all()
        return [_Candidate(cache_instance, row.id, phi_series_id, location_of(row)) for row in rows]


def _round(candidates: Iterator[_Candidate], wanted_bytes: int | None) -> list[_Candidate]:
    """Take candidates for one commit: until enough bytes or instances are together."""
    taken: list[_Candidate] = []
    freed = 0
    while len(taken) < _ROUND_INSTANCES and (wanted_bytes is None or freed < wanted_bytes):
        candidate = next(candidates, None)
        if candidate is None:
            break
        taken.append(candidate)
        freed += candidate.location.span
    return taken
