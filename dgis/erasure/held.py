"""Bytes held apart that are of a patient whose key is destroyed: their rows go, and with them the bytes.

The disputed instance may be one patient's and the other bytes another's, so each is asked whose it is.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy as sa

from catalog.erase import forget_conflict
from dgis.cache.extent import EvictedError, open_extent, stands
from dgis.cache.files import SegmentFiles
from dgis.cache.outcomes import Arrival
from dgis.cache.sql import location_of, reading
from dgis.erasure.values import Erasure
from dgis.ingest import whose
from dgis.keyholder.protocol import Identifiers, Keys
from dgis.tables import cache_conflict

Names = Callable[[Identifiers], Keys]


@dataclass(frozen=True, slots=True)
class Held:
    """What was found: the rows that go by erasure, and those of which nothing can be said."""

    rows: dict[int, list[sa.Row[Any]]] = field(default_factory=dict)
    gone: list[sa.Row[Any]] = field(default_factory=list)  # their bytes are not there any more
    unread: list[sa.Row[Any]] = field(default_factory=list)  # their bytes name nobody
    busy: list[sa.Row[Any]] = field(default_factory=list)  # to be asked again


class Looker:
    """Asks what one gateway holds apart whose it is, each of it once."""

    def __init__(self, engine: sa.Engine, files: SegmentFiles, gateway_id: str, names: Names) -> None:
        self._engine = engine
        self._files = files
        self._gateway_id = gateway_id
        self._names = names
        self._patients: dict[tuple[int, bytes], str | None] = {}  # by row and digest: pseudonyms

    def look(self, erasures: Sequence[Erasure]) -> Held:
        """Return what of it is meant by these erasures."""
        query = sa.select(cache_conflict).where(cache_conflict.c.gateway_id == self._gateway_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(cache_conflict.c.id)).all()
        found = Held()
        for row in rows:
            self._judge(row, erasures, found)
        return found

    def _judge(self, row: sa.Row[Any], erasures: Sequence[Erasure], found: Held) -> None:
        try:
            patient = self._patient(row)
        except EvictedError:
            there = stands(self._files.path(row.segment_id), location_of(row))
            (found.busy if there else found.gone).append(row)
            return
        if patient is None:
            found.unread.append(row)
        for each in erasures:
            if each.patient_key == patient and row.received_ms <= each.requested_ms:
                found.rows.setdefault(each.id, []).append(row)
                return

    def _patient(self, row: sa.Row[Any]) -> str | None:
        """Return whose bytes they are; None where they do not say.

        Raises:
            EvictedError: they cannot be had now, or are gone.
        """
        known = (row.id, bytes(row.sha256))
        if known not in self._patients:
            location = location_of(row)
            opened = partial(open_extent, self._files.path(location.segment_id), location)
            with opened() as extent:
                meta = extent.meta()
            who = whose(Arrival(meta, location, opened))
            self._patients[known] = None if who is None else self._names(who).patient
        return self._patients[known]


def forget(connection: sa.Connection, found: Held) -> Counter[int]:
    """Delete the rows of what was found; returns how many, by erasure."""
    counts: Counter[int] = Counter()
    for erasure_id, rows in (*found.rows.items(), (0, found.gone)):
        for row in rows:
            gone = sa.delete(cache_conflict).where(cache_conflict.c.id == row.id)
            counts[erasure_id] += connection.execute(gone).rowcount
            forget_conflict(connection, row.sop_instance_uid, bytes(row.sha256))
    del counts[0]
    return counts
