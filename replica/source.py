import hashlib
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Final

import sqlalchemy as sa
import structlog

from replica.fleet import Fleet
from replica.racing import Race
from replica.tables import replica_copy
from replica.values import CopyState, Located
from storage_nodes.errors import NodeError, NodeUnavailable, ObjectDamaged, ObjectMissing
from storage_nodes.node import Buffer

_log = structlog.get_logger(__name__)

_WHOLE_BYTES: Final = 1 << 20
"""How much `is_whole` holds at a time."""


class NoCopyLeft(Exception):  # noqa: N818 (reads as what happened)
    """No copy of the object could be read; the text says what was wrong with each."""


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """A copy that gave an error or wrong bytes to a reader."""

    object_id: int
    node: str
    trouble: str


class ReplicaSource:
    """Reads an object by ranges from its nearest copy, and from the next one when that fails or is slow.

    What a copy returns has the right length; whether it has the right bytes only the reader can tell, from
    the digests in the record. It says so with `reject`, and reads again: never the same copy. A copy that
    is missing, short or rejected is reported once as a Misbehaviour; a node that is merely down is not its
    copies' fault.

    Several threads may read; each sticks to the copy that served it last.
    """

    def __init__(
        self, fleet: Fleet, located: Located, report: Callable[[Misbehaviour], None] = lambda _: None
    ) -> None:
        self._fleet = fleet
        self._located: Final = located
        self._report = report
        self._lock = threading.Lock()
        self._left = list(located.nodes)
        self._troubles: dict[str, str] = {}
        self._served = threading.local()

    @property
    def size(self) -> int:
        """Length of the object by the index, bytes."""
        return self._located.size_bytes

    def read(self, start: int, length: int) -> Buffer:
        """Return `length` bytes from `start`; fewer only where the object ends (by the index, not by a copy).

        A node that takes longer than such a read usually takes of it is not waited for alone: the next one is
        asked as well, and whoever answers first is read from further on.

        Raises:
            NoCopyLeft: every copy failed or was rejected.
        """
        length = min(length, self.size - start)
        if length <= 0:
            return b""
        race: Race[Buffer] = Race()
        asked: list[str] = []
        while True:
            name = self._next(asked)
            if name is None and not race.running:
                break
            if name is not None:
                asked.append(name)
                race.start(name, partial(self._fetch, name, start, length))
            data = self._answer(race, asked, length)
            if data is not None:
                return data
        told = "; ".join(f"{name}: {trouble}" for name, trouble in self._troubles.items())
        raise NoCopyLeft(told or "the index knows of no good copy")

    def is_whole(self) -> bool:
        """Read all of it and tell whether that has the digest of the index.

        For a reader who cannot tell wrong bytes from right ones by the object itself. After False, `reject`.

        Raises:
            NoCopyLeft: as `read`.
        """
        digest = hashlib.sha256()
        for start in range(0, self.size, _WHOLE_BYTES):
            digest.update(self.read(start, _WHOLE_BYTES))
        return digest.digest() == self._located.sha256

    def _answer(self, race: Race[Buffer], asked: list[str], length: int) -> Buffer | None:
        """Wait for one of those asked; None: it failed, or another node should be asked as well."""
        latest = asked[-1]
        patience = self._fleet.latencies.patience_seconds(self._located.kind, latest, length)
        ended = race.next(patience if self._next(asked) is not None else None)
        if ended is None:
            _log.info("read_hedged", node=latest, object_id=self._located.object_id)
            return None
        name, outcome = ended
        if isinstance(outcome, NodeError):
            fault = isinstance(outcome, ObjectMissing | ObjectDamaged)
            self._drop(name, outcome.trouble, its_fault=fault)
            return None
        if isinstance(outcome, BaseException):
            raise outcome
        self._served.node = name
        self._prefer(name)
        return outcome

    def _fetch(self, name: str, start: int, length: int) -> Buffer:
        kind = self._located.kind
        node = self._fleet.node(kind, name)
        if node is None:
            raise NodeUnavailable(name, "is not configured")
        began = time.monotonic()
        with self._fleet.watched(kind, name):
            data = node.get_range(self._located.name, start, length)
            if len(data) != length:  # the port forbids it; a node that lies is not stopped by that
                raise ObjectDamaged(name, "answered with another length than was asked for")
        self._fleet.latencies.note(kind, name, length, time.monotonic() - began)
        return data

    def reject(self, trouble: str = "a digest in the record does not match") -> bool:
        """Say that what this thread read last was wrong; returns whether there is another copy to read.

        Args:
            trouble: in words, for the index; never content.
        """
        name = getattr(self._served, "node", None)
        if name is not None:
            self._served.node = None
            self._drop(name, trouble, its_fault=True)
        return self._next(()) is not None

    def _next(self, asked: Collection[str]) -> str | None:
        with self._lock:
            return next((name for name in self._left if name not in asked), None)

    def _prefer(self, name: str) -> None:
        """Read further on from who answered first; a reader that goes front to back waits only once."""
        with self._lock:
            if name in self._left and self._left[0] != name:
                self._left.remove(name)
                self._left.insert(0, name)

    def _drop(self, name: str, trouble: str, *, its_fault: bool) -> None:
        with self._lock:
            if name not in self._left:  # another thread was first
                return
            self._left.remove(name)
            self._troubles[name] = trouble
        if its_fault:
            self._report(Misbehaviour(self._located.object_id, name, trouble))


def mark_suspicious(connection: sa.Connection, found: Misbehaviour, now_ms: int) -> None:
    """Take a copy out of use until the check worker has looked at it."""
    copy = replica_copy.c
    connection.execute(
        sa.update(replica_copy)
        .where(
            copy.object_id == found.object_id,
            copy.node == found.node,
            copy.state == CopyState.AVAILABLE,
        )
        .values(state=CopyState.SUSPICIOUS, due_ms=now_ms, last_error=found.trouble)
    )


class Reporter:
    """Marks misbehaving copies in a transaction of its own; reads go on even when the database does not."""

    def __init__(self, engine: sa.Engine, clock_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_ms = clock_ms

    def __call__(self, found: Misbehaviour) -> None:
        """Mark one copy."""
        _log.warning("copy_suspicious", node=found.node, object_id=found.object_id, trouble=found.trouble)
        try:
            with self._engine.begin() as connection:
                mark_suspicious(connection, found, self._clock_ms())
        except sa.exc.SQLAlchemyError as error:
            _log.warning("suspicion_not_kept", node=found.node, error=type(error).__name__)
