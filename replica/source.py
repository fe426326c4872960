import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
import structlog

from replica.fleet import Fleet
from replica.tables import replica_copy
from replica.values import CopyState, Located
from storage_nodes.errors import NodeError, ObjectDamaged, ObjectMissing
from storage_nodes.node import Buffer

_log = structlog.get_logger(__name__)


class NoCopyLeft(Exception):  # noqa: N818 (reads as what happened)
    """No copy of the object could be read; the text says what was wrong with each."""


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """A copy that gave an error or wrong bytes to a reader."""

    object_id: int
    node: str
    trouble: str


class ReplicaSource:
    """Reads an object by ranges from its nearest copy, and from the next one when that fails.

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

        Raises:
            NoCopyLeft: every copy failed or was rejected.
        """
        length = min(length, self.size - start)
        if length <= 0:
            return b""
        while (name := self._next()) is not None:
            node = self._fleet.node(self._located.kind, name)
            if node is None:
                self._drop(name, "is not configured", its_fault=False)
                continue
            try:
                with self._fleet.watched(self._located.kind, name):
                    data = node.get_range(self._located.name, start, length)
                    if len(data) != length:  # the port forbids it; a node that lies is not stopped by that
                        raise ObjectDamaged(name, "answered with another length than was asked for")
            except NodeError as error:
                fault = isinstance(error, ObjectMissing | ObjectDamaged)
                self._drop(name, error.trouble, its_fault=fault)
                continue
            self._served.node = name
            return data
        told = "; ".join(f"{name}: {trouble}" for name, trouble in self._troubles.items())
        raise NoCopyLeft(told or "the index knows of no good copy")

    def reject(self, trouble: str = "a digest in the record does not match") -> bool:
        """Say that what this thread read last was wrong; returns whether there is another copy to read.

        Args:
            trouble: in words, for the index; never content.
        """
        name = getattr(self._served, "node", None)
        if name is not None:
            self._served.node = None
            self._drop(name, trouble, its_fault=True)
        return self._next() is not None

    def _next(self) -> str | None:
        with self._lock:
            return self._left[0] if self._left else None

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
