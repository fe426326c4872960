"""Sends the trail to the audit record repository: at least once, in order, and nothing waits for it.

    trail in the database (what waits) -> messages -> handed to the connection -> `sent` moves
    -> so many seconds later, the connection standing all the while: `settled` moves      <- the commit point

Syslog confirms nothing, so what was handed over may be lost with its connection. When that ends, or this
process does, sending goes on after what is settled: the last seconds are sent twice, none not at all.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
import structlog

from dgis.cache.sql import reading
from dgis.repository import cursor
from dgis.repository.line import LineError
from dgis.repository.streams import Item, Reader, streams

_log = structlog.get_logger(__name__)

_AT_ONCE = 256  # entries handed over in one go
_RETRY_SECONDS = (1.0, 2.0, 5.0, 15.0, 60.0)  # after the first failure, and every later one in a row


class Connection(Protocol):
    """An open line to the repository; every method raises `LineError` where it ended."""

    def send(self, messages: Sequence[bytes]) -> None:
        """Hand messages over."""

    def check(self) -> None:
        """Notice that the line has ended."""

    def close(self) -> None:
        """End it."""


@dataclass(frozen=True, slots=True)
class Means:
    """What sending works with; `seconds` is a clock that only goes forward."""

    engine: sa.Engine
    gateway_id: str
    repository: str
    reader: Reader
    connect: Callable[[], Connection]
    clock_ms: Callable[[], int]
    resend_seconds: float = 60.0
    seconds: Callable[[], float] = time.monotonic


class Sender:
    """The worker's chore; one thread at a time."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._line: Connection | None = None
        self._sent: dict[str, int] = {}
        self._settled: dict[str, int] = {}
        self._unsettled: deque[tuple[float, dict[str, int]]] = deque()
        self._failures = 0
        self._retry_s = 0.0

    def run_once(self) -> bool:
        """Send what waits, some of it; returns whether there may be more at once."""
        try:
            return self._round()
        except LineError as error:
            self._lost(str(error))
            return False

    def close(self) -> None:
        """End the line; what is not settled is sent again at the next start."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def finish(self, seconds: float) -> None:
        """Send the last entries over a line that stands, and end it; one that hangs is left alone."""
        if self._line is None:
            return
        last = threading.Thread(target=self._last, name="last-entries", daemon=True)
        last.start()
        last.join(seconds)

    def _last(self) -> None:
        self.run_once()
        self.close()

    def _round(self) -> bool:
        if self._stands():
            self._settle()
        elif self._means.seconds() < self._retry_s:
            return False
        else:
            self._begin_anew()
        waiting = self._next()
        if not waiting:
            return False
        if self._line is None:
            self._line = self._means.connect()
        self._line.send([message for item in waiting for message in item.messages])
        self._handed_over(waiting)
        return True

    def _stands(self) -> bool:
        """Whether there is a line; one that ends while nothing is on it is no trouble."""
        if self._line is None:
            return False
        try:
            self._line.check()
        except LineError:
            if self._unsettled:
                raise
            self.close()
        return self._line is not None

    def _begin_anew(self) -> None:
        """Take up what is settled: of the rest nobody knows what became."""
        with reading(self._means.engine) as connection:
            self._settled = cursor.settled(connection, self._means.repository)
        self._sent = dict(self._settled)
        self._unsettled.clear()

    def _next(self) -> list[Item]:
        found: list[Item] = []
        means = self._means
        with reading(means.engine) as connection:
            for stream, last in streams(connection, means.gateway_id).items():
                after, room = self._sent.get(stream.name, 0), _AT_ONCE - len(found)
                if last > after and room > 0:
                    found += means.reader.items(connection, stream, after, room)
        return found

    def _handed_over(self, given: Sequence[Item]) -> None:
        latest = {item.stream.name: item.number for item in given}
        self._sent.update(latest)
        self._unsettled.append((self._means.seconds(), latest))
        self._failures = 0
        self._move(sent_ms=self._means.clock_ms(), trouble=None, trouble_since_ms=None)

    def _settle(self) -> None:
        """Believe that what was handed over long enough ago has come, for the line still stands."""
        until_s = self._means.seconds() - self._means.resend_seconds
        before = dict(self._settled)
        while self._unsettled and self._unsettled[0][0] <= until_s:
            self._settled.update(self._unsettled.popleft()[1])
        if self._settled != before:
            self._move()

    def _move(self, **values: int | None) -> None:
        means = self._means
        with means.engine.begin() as connection:
            cursor.move(connection, means.repository, self._sent, self._settled)
            if values:
                cursor.note(connection, means.gateway_id, means.repository, **values)

    def _lost(self, words: str) -> None:
        self.close()
        delay = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._retry_s = self._means.seconds() + delay
        if not self._failures:
            _log.warning("audit_repository_away", reason=words, retry_in_seconds=delay)
        self._failures += 1
        self._begin_anew()
        self._tell(words)

    def _tell(self, words: str) -> None:
        means = self._means
        with means.engine.begin() as connection:
            known: Mapping[str, object] = cursor.state(connection, means.gateway_id) or {}
            since = known.get("trouble_since_ms") or means.clock_ms()
            cursor.move(connection, means.repository, self._sent, self._settled)
            cursor.note(connection, means.gateway_id, means.repository, trouble=words, trouble_since_ms=since)
