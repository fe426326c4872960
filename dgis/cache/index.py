"""Finding cached instances, reading them, and saying what became of them."""

import threading
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import sqlalchemy as sa

from dgis.cache.extent import Extent, open_extent
from dgis.cache.files import SegmentFiles
from dgis.cache.rows import refresh_series
from dgis.cache.sql import in_lists, location_of
from dgis.cache.values import Location
from dgis.tables import cache_instance, cache_series


@dataclass(frozen=True, slots=True)
class Cached:
    """One instance that lies in this gateway's cache."""

    phi_instance_id: int
    phi_series_id: int
    sop_instance_uid: str = field(repr=False)
    transfer_syntax: str
    published: bool
    location: Location


class CacheIndex:
    """The cache as its readers see it; every method takes the caller's connection."""

    def __init__(self, files: SegmentFiles, gateway_id: str) -> None:
        self._files = files
        self._gateway_id = gateway_id
        self._lock = threading.Lock()
        self._used: dict[int, int] = {}  # last use by series, not yet written

    def locate(self, connection: sa.Connection, phi_instance_ids: Iterable[int]) -> dict[int, Cached]:
        """Return where instances lie; those that are not in the cache are left out."""
        found: dict[int, Cached] = {}
        for part in in_lists(list(phi_instance_ids)):
            for each in self._select(connection, cache_instance.c.phi_instance_id.in_(part)):
                found[each.phi_instance_id] = each
        return found

    def locate_uid(self, connection: sa.Connection, sop_instance_uid: str) -> list[Cached]:
        """Return the cached instances of a SOP Instance UID: several where several contributors sent it."""
        return self._select(connection, cache_instance.c.sop_instance_uid == sop_instance_uid)

    def unpublished(self, connection: sa.Connection, phi_series_id: int) -> list[Cached]:
        """Return what of a series is to be published, in the order it was received."""
        of_series = cache_instance.c.phi_series_id == phi_series_id
        return self._select(connection, of_series, cache_instance.c.published.is_(False))

    def open(self, location: Location) -> AbstractContextManager[Extent]:
        """Open the bytes of an instance; they cannot be evicted until the context is left.

        Raises:
            EvictedError: on entering, where they are gone.
        """
        return open_extent(self._files.path(location.segment_id), location)

    def mark_published(self, connection: sa.Connection, phi_instance_ids: Sequence[int]) -> None:
        """Say, in the transaction that makes it so, that instances are on the nodes: they may be evicted."""
        series: set[int] = set()
        for part in in_lists(phi_instance_ids):
            mine = (
                cache_instance.c.gateway_id == self._gateway_id,
                cache_instance.c.phi_instance_id.in_(part),
            )
            series.update(
                connection.scalars(sa.select(cache_instance.c.phi_series_id).where(*mine).distinct())
            )
            connection.execute(sa.update(cache_instance).where(*mine).values(published=True))
        refresh_series(connection, self._gateway_id, series)

    def used(self, phi_series_id: int, now_ms: int) -> None:
        """Note that a series was read; costs no database until `write_used`."""
        with self._lock:
            self._used[phi_series_id] = now_ms

    def write_used(self, connection: sa.Connection) -> None:
        """Write the last uses noted since, for the eviction to go by."""
        with self._lock:
            used, self._used = self._used, {}
        if used:
            connection.execute(
                sa.update(cache_series)
                .where(
                    cache_series.c.gateway_id == self._gateway_id,
                    cache_series.c.phi_series_id == sa.bindparam("series"),
                )
                .values(last_used_ms=sa.bindparam("used")),
                [{"series": series_id, "used": used_ms} for series_id, used_ms in sorted(used.items())],
            )

    def _select(self, connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Cached]:
        query = (
            sa.select(cache_instance)
            .where(cache_instance.c.gateway_id == self._gateway_id, *where)
            .order_by(cache_instance.c.received_ms, cache_instance.c.id)
        )
        return [
            Cached(
                phi_instance_id=row.phi_instance_id,
                phi_series_id=row.phi_series_id,
                sop_instance_uid=row.sop_instance_uid,
                transfer_syntax=row.transfer_syntax,
                published=row.published,
                location=location_of(row),
            )
            for row in connection.execute(query)
        ]
