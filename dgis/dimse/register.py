"""Who is connected: bounds on associations, on connections that never propose one, on what all keep."""

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from dgis.dimse.budget import Budget
from dgis.dimse.limits import Limits


class Connection(Protocol):
    """What the register needs of a connection."""

    address: str

    def idle_seconds(self) -> float:
        """How long the peer has asked for nothing; 0 during an operation."""

    def stop(self) -> None:
        """End between operations; callable from another thread."""

    def cut(self) -> None:
        """End now; callable from another thread."""


class Register:
    """Keeps count of connections, thread-safe.

    A connection waits until its A-ASSOCIATE-RQ has come. Waiting ones do not count as associations, and when
    there are too many, the oldest of the address that has most gives way: a thousand silent connections
    never keep a sender out that speaks at once.
    """

    def __init__(self, limits: Limits) -> None:
        self.budget = Budget(limits.kept_bytes)
        self._limits = limits
        self._waiting: dict[Connection, None] = {}  # in order of arrival
        self._standing: dict[Connection, None] = {}
        self._changed = threading.Condition()

    def enter(self, connection: Connection) -> None:
        """Take in a new connection; another one may be cut for it."""
        victim = None
        with self._changed:
            self._waiting[connection] = None
            if len(self._waiting) > self._limits.max_unassociated:
                (most, _), *_ = Counter(waiting.address for waiting in self._waiting).most_common(1)
                victim = next(waiting for waiting in self._waiting if waiting.address == most)
                del self._waiting[victim]
        if victim is not None:
            victim.cut()

    def promote(self, connection: Connection) -> bool:
        """Count a connection as an association; False where a limit is reached and nobody gives way.

        The association that has been idle longest gives way once it was so for `spare_after_seconds`: peers
        that open associations and leave them do not keep out those that have something to say.
        """
        with self._changed:
            if connection not in self._waiting:
                return False
            same = [other for other in self._standing if other.address == connection.address]
            rivals: Iterable[Connection] = ()
            if len(same) >= self._limits.associations_per_address:
                rivals = same
            elif len(self._standing) >= self._limits.max_associations:
                rivals = self._standing
            victim = max(rivals, key=lambda other: other.idle_seconds(), default=None)
            if victim is not None:
                if victim.idle_seconds() <= self._limits.spare_after_seconds:
                    return False
                self._move(victim, self._standing, self._waiting)
            self._move(connection, self._waiting, self._standing)
        if victim is not None:
            victim.stop()
        return True

    def demote(self, connection: Connection) -> None:
        """Count a refused association as waiting again while its connection is closed."""
        with self._changed:
            self._move(connection, self._standing, self._waiting)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        with self._changed:
            self._waiting.pop(connection, None)
            self._standing.pop(connection, None)
            self._changed.notify_all()

    def counts(self) -> tuple[int, int]:
        """Return how many wait and how many stand."""
        with self._changed:
            return len(self._waiting), len(self._standing)

    def stop(self, seconds: float) -> bool:
        """Cut what waits, let what stands finish its operation; cut the rest after `seconds`.

        Returns:
            Whether all ended by themselves.
        """
        with self._changed:
            waiting, standing = tuple(self._waiting), tuple(self._standing)
        for connection in waiting:
            connection.cut()
        for connection in standing:
            connection.stop()
        if self.wait_empty(seconds):
            return True
        with self._changed:
            left = (*self._waiting, *self._standing)
        for connection in left:
            connection.cut()
        return False

    def wait_empty(self, seconds: float) -> bool:
        """Wait until nobody is connected; False after `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._standing, seconds)

    @staticmethod
    def _move(connection: Connection, source: dict[Connection, None], target: dict[Connection, None]) -> None:
        source.pop(connection, None)
        target[connection] = None
