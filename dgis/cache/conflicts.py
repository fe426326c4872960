"""Bytes that are not the instance of their SOP Instance UID: what lies there, and the operator's choice.

Keeping the other bytes swaps the two in one transaction, the commit point: the catalog takes the held
bytes in as a new instance in place of the old, the old bytes become a resolved conflict. The new instance
counts as not yet published, so its series is published again with it as a further part; its pseudonym is the
old one's, and the catalog's rows of that pseudonym point to the new part from then on. A crash before the
commit leaves the conflict as it was.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

import sqlalchemy as sa

from dgis.cache import publish_queue
from dgis.cache.extent import Extent, open_extent
from dgis.cache.files import SegmentFiles
from dgis.cache.outcomes import Arrival, New, Outcome, Unreadable
from dgis.cache.owner import Owner
from dgis.cache.rows import add_instance, refresh_series
from dgis.cache.scan import Condition, Found
from dgis.cache.sql import location_of, location_values
from dgis.cache.values import Location
from dgis.cache.verdicts import Choice, Kind
from dgis.tables import cache_conflict, cache_instance

# Takes the place of an instance in the catalog: its rows go, the arrival is ingested in its stead; with None
# for the instance the arrival is only ingested. Inside the caller's transaction.
Replace = Callable[[sa.Connection, Arrival, int | None], Outcome]


@dataclass(frozen=True, slots=True)
class Disputed:
    """Bytes held apart, as an operator sees them."""

    id: int
    kind: Kind
    reason: str
    phi_instance_id: int | None
    sop_instance_uid: str = field(repr=False)
    transfer_syntax: str
    calling_ae: str
    peer_address: str
    received_ms: int
    resolved_ms: int | None
    location: Location


@dataclass(frozen=True, slots=True)
class NotKept:
    """The choice could not be carried out; nothing changed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The choice holds; with bytes that became the instance, its rows in the catalog."""

    phi_instance_id: int | None
    phi_series_id: int | None


class Conflicts:
    """The conflicts of one gateway's cache."""

    def __init__(self, files: SegmentFiles, owner: Owner) -> None:
        self._files = files
        self._gateway_id = owner.gateway_id
        self._owner = owner

    def list(self, connection: sa.Connection, *, resolved: bool = False) -> list[Disputed]:
        """Return what waits for an operator, oldest first; with `resolved` also what was decided."""
        query = sa.select(cache_conflict).where(cache_conflict.c.gateway_id == self._gateway_id)
        if not resolved:
            query = query.where(cache_conflict.c.resolved_ms.is_(None))
        query = query.order_by(cache_conflict.c.received_ms, cache_conflict.c.id)
        return [_disputed(row) for row in connection.execute(query)]

    def get(self, connection: sa.Connection, conflict_id: int) -> Disputed | None:
        """Return one conflict, decided or not, or None."""
        query = sa.select(cache_conflict).where(
            cache_conflict.c.id == conflict_id, cache_conflict.c.gateway_id == self._gateway_id
        )
        row = connection.execute(query).one_or_none()
        return None if row is None else _disputed(row)

    def open(self, disputed: Disputed) -> AbstractContextManager[Extent]:
        """Open the held bytes.

        Raises:
            EvictedError: on entering, where they were decided against and have been freed since.
        """
        return open_extent(self._files.path(disputed.location.segment_id), disputed.location)

    def keep(
        self, connection: sa.Connection, conflict_id: int, choice: Choice, replace: Replace
    ) -> Kept | NotKept:
        """Carry out an operator's choice inside the caller's transaction; the caller audits it.

        The bytes decided against stay readable until eviction needs their room. After `NotKept` the caller
        rolls back.
        """
        disputed = self.get(connection, conflict_id)
        if disputed is None or disputed.resolved_ms is not None:
            return NotKept("there is no such open conflict")
        if choice is Choice.STORED:
            self._resolve(connection, conflict_id)
            return Kept(disputed.phi_instance_id, None)
        if disputed.kind is Kind.DAMAGED:
            return NotKept("its bytes are damaged")
        return self._swap(connection, disputed, replace)

    def _swap(self, connection: sa.Connection, disputed: Disputed, replace: Replace) -> Kept | NotKept:
        with self.open(disputed) as extent:
            meta = extent.meta()
        arrival = Arrival(meta, disputed.location, partial(self.open, disputed))
        outcome = replace(connection, arrival, disputed.phi_instance_id)
        if isinstance(outcome, Unreadable):
            return NotKept(outcome.reason)
        if not isinstance(outcome, New):
            return NotKept("the catalog does not take the bytes as an instance")
        connection.execute(sa.delete(cache_conflict).where(cache_conflict.c.id == disputed.id))
        if disputed.phi_instance_id is not None:
            self._supersede(connection, disputed.phi_instance_id, outcome.phi_instance_id)
        found = Found(disputed.location, meta, Condition.WHOLE)
        add_instance(connection, self._gateway_id, found, outcome)
        added = {outcome.phi_series_id: 1}
        publish_queue.arrived(
            connection, self._gateway_id, added, self._owner.clock_ms(), self._owner.patience
        )
        return Kept(outcome.phi_instance_id, outcome.phi_series_id)

    def _supersede(self, connection: sa.Connection, old_id: int, new_id: int) -> None:
        """Turn the old instance's bytes, where this cache still has them, into a resolved conflict."""
        mine = (cache_instance.c.gateway_id == self._gateway_id, cache_instance.c.phi_instance_id == old_id)
        row = connection.execute(sa.select(cache_instance).where(*mine)).one_or_none()
        if row is None:
            return
        with open_extent(self._files.path(row.segment_id), location_of(row)) as extent:
            meta = extent.meta()
        connection.execute(sa.delete(cache_instance).where(*mine))
        connection.execute(
            sa.insert(cache_conflict).values(
                **location_values(self._gateway_id, location_of(row)),
                kind=Kind.SUPERSEDED.value,
                phi_instance_id=new_id,
                sop_instance_uid=row.sop_instance_uid,
                transfer_syntax=row.transfer_syntax,
                calling_ae=meta.calling_ae,
                peer_address=meta.peer_address,
                reason="an operator chose other bytes",
                received_ms=row.received_ms,
                resolved_ms=self._owner.clock_ms(),
            )
        )
        refresh_series(connection, self._gateway_id, [row.phi_series_id])

    def _resolve(self, connection: sa.Connection, conflict_id: int) -> None:
        of_id = cache_conflict.c.id == conflict_id
        connection.execute(sa.update(cache_conflict).where(of_id).values(resolved_ms=self._owner.clock_ms()))


def _disputed(row: sa.Row[tuple[object, ...]]) -> Disputed:
    return Disputed(
        id=row.id,
        kind=Kind(row.kind),
        reason=row.reason,
        phi_instance_id=row.phi_instance_id,
        sop_instance_uid=row.sop_instance_uid,
        transfer_syntax=row.transfer_syntax,
        calling_ae=row.calling_ae,
        peer_address=row.peer_address,
        received_ms=row.received_ms,
        resolved_ms=row.resolved_ms,
        location=location_of(row),
    )
