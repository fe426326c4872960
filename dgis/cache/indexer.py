"""Brings durable entries into the database: catalog, cache index and publish queue in one transaction.

The commit of that transaction is the commit point. A crash before it leaves the entries in the log, which is
read again from `cache_segment.indexed_to`; a crash after it leaves at most bytes of duplicates, which the
reclaimer's sweep gives back.
"""

import errno
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from dgis import failpoints
from dgis.cache import publish_queue
from dgis.cache.extent import open_extent
from dgis.cache.log import ReceiveLog
from dgis.cache.outcomes import Arrival, Ingest, Outcome, Unreadable
from dgis.cache.owner import Owner
from dgis.cache.reclaim import Reclaimer
from dgis.cache.recovery import reconcile
from dgis.cache.rows import Recorded, record
from dgis.cache.scan import Condition, Found

_log = structlog.get_logger(__name__)
BATCH = 256
_GATHER_SECONDS = 0.005  # what arrives within it after a quiet time shares one transaction
# Between transactions while images stream in, each of which costs the receiving threads time: at least, and
# at most; it ends sooner with an association, for then its images are looked for.
_STREAM_SECONDS = 0.1
_LONGEST_STREAM_SECONDS = 0.25
_IDLE_SECONDS = 1.0
_SWEEP_SECONDS = 0.05
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_RACES = 3  # lost against another gateway before an instance is set aside
_SEVERAL = 2  # instances of a series in one association that make its release a sign
# What bad data, or a bug that it meets, is thrown as. Anything else (the database is away, the process with
# the site secret is away, no file descriptors are left) is no instance's fault: the batch comes again.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    DataError,
    IntegrityError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_Judge = Callable[[sa.Connection, Sequence[Found]], Sequence[Outcome]]


class Indexer:
    """One per process that receives; `run_once` for tests and clocks, `start` for its own thread."""

    def __init__(self, log: ReceiveLog, engine: sa.Engine, ingest: Ingest, owner: Owner) -> None:
        self._log = log
        self._engine = engine
        self._ingest = ingest
        self._gateway_id = owner.gateway_id
        self._owner = owner
        self._reclaimer = Reclaimer(log.files, engine, owner.gateway_id)
        self._recovered = False
        self._to_sweep: list[str] = []
        self._batch: list[Found] = []  # taken and not yet committed: kept over a dead database
        self._sent: dict[str, Counter[int]] = {}  # by association: instances added, by series
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def run_once(self) -> int:
        """Index what is at hand, one batch; returns how many entries it held.

        Raises:
            Exception: the database or the catalog does not take it now; nothing is lost, call again.
        """
        if not self._recovered:
            self._recover()
        self._batch = self._batch or self._log.backlog.take(BATCH)
        count = len(self._batch)
        if self._batch:
            self._index(self._batch)
            self._batch = []
        else:
            self._sweep_on()
        self._note_releases()
        return count

    def start(self) -> None:
        """Index in a thread until `stop`."""
        self._thread = threading.Thread(target=self._run, name="cache-indexer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Index what is durable by now, where the database lets us, and end the thread."""
        self._stop.set()
        self._log.backlog.hurry()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        pause = last = 0.0
        while True:
            stopping = self._stop.is_set()
            try:
                more = self.run_once() == BATCH or (bool(self._to_sweep) and not stopping)
                pause = 0.0
            except Exception as error:  # noqa: BLE001 (whatever the database or the catalog throws: receiving goes on)
                more = False
                pause = min(_LONGEST_PAUSE_SECONDS, max(_FIRST_PAUSE_SECONDS, pause * 2))
                _log.warning("cache_index_waits", pause_seconds=pause, error=type(error).__name__)
            if stopping and not more:
                return
            if pause:
                self._stop.wait(pause)
            elif not more:
                last = self._gather(last)

    def _gather(self, last: float) -> float:
        """Wait for something to index, and for what comes with it; takes and returns when that ended."""
        self._log.backlog.wait(_IDLE_SECONDS)
        streaming = last + _STREAM_SECONDS - time.monotonic()
        self._stop.wait(max(_GATHER_SECONDS, streaming))
        longer = last + _LONGEST_STREAM_SECONDS - time.monotonic()
        if longer > 0:
            self._log.backlog.wait_for_end(longer)
        return time.monotonic()

    def _recover(self) -> None:
        with self._engine.begin() as connection:
            tails = reconcile(connection, self._gateway_id, self._log.files, self._log.backlog.follows)
        self._log.backlog.recover(tails)
        self._recovered = True
        self._to_sweep = self._reclaimer.indexed_segments()
        _log.info("cache_recovered", unindexed_segments=len(tails))

    def _sweep_on(self) -> None:
        """Free what a crash left, a little at a time: instances that arrive are not to wait for it."""
        until = time.monotonic() + _SWEEP_SECONDS
        while self._to_sweep and time.monotonic() < until:
            self._reclaimer.sweep_segment(self._to_sweep.pop())

    def _index(self, batch: Sequence[Found]) -> None:
        """Index a batch in one transaction; where one instance spoils it, each in its own."""
        try:
            recorded = self._commit(batch, self._judge)
        except Exception as error:
            if not _blames_the_instance(error):
                raise
            _log.warning("cache_batch_failed", error=type(error).__name__, count=len(batch))
            recorded = None
        if recorded is not None:
            self._settle(batch, recorded)
            return
        for found in batch:
            self._settle([found], self._commit_one(found))

    def _commit_one(self, found: Found) -> Recorded:
        """Index one instance; one that cannot be is kept aside with its bytes, for an operator."""
        reason = "the catalog refuses its rows"
        for _race in range(_RACES):
            try:
                return self._commit([found], self._judge)
            except IntegrityError:
                continue  # another gateway wrote the same instance first: look again
            except DataError:
                reason = "the database does not take its values"
            except Exception as error:
                if not _blames_the_instance(error):
                    raise
                reason = "its attributes could not be read"
                _log.error("cache_instance_held", error=type(error).__name__)
            break
        return self._commit([found], partial(_unreadable, reason))

    def _commit(self, batch: Sequence[Found], judge: _Judge) -> Recorded:
        with self._engine.begin() as connection:
            outcomes = judge(connection, batch)
            recorded = record(connection, self._gateway_id, list(zip(batch, outcomes, strict=True)))
            now_ms = self._owner.clock_ms()
            publish_queue.arrived(connection, self._gateway_id, recorded.added, now_ms, self._owner.patience)
            failpoints.hit("cache.before_index_commit")
        failpoints.hit("cache.after_index_commit")
        return recorded

    def _settle(self, batch: Sequence[Found], recorded: Recorded) -> None:
        self._log.backlog.done(batch)
        for association, added in recorded.added_by_association.items():
            self._sent.setdefault(association, Counter()).update(added)
        if recorded.garbage:
            self._reclaimer.free(recorded.garbage)
            self._log.space.forget()

    def _judge(self, connection: sa.Connection, batch: Sequence[Found]) -> list[Outcome]:
        whole = [found for found in batch if found.condition is Condition.WHOLE]
        said = iter(self._ingest(connection, [self._arrival(found) for found in whole]) if whole else ())
        return [
            next(said)
            if found.condition is Condition.WHOLE
            else Unreadable("its bytes do not match their checksum")
            for found in batch
        ]

    def _arrival(self, found: Found) -> Arrival:
        path = self._log.files.path(found.location.segment_id)
        return Arrival(found.meta, found.location, partial(open_extent, path, found.location))

    def _note_releases(self) -> None:
        for release in self._log.backlog.finished_associations():
            sent = self._sent.pop(release.association, Counter())
            series = [series_id for series_id, count in sent.items() if count >= _SEVERAL]
            if series and release.released:
                with self._engine.begin() as connection:
                    publish_queue.released(
                        connection, self._gateway_id, series, self._owner.clock_ms(), self._owner.patience
                    )


def _blames_the_instance(error: Exception) -> bool:
    """Return whether trying again later would be of no use."""
    if isinstance(error, OSError):
        return error.errno == errno.EIO
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return True  # a value that no column takes, found before the database was asked
    return isinstance(error, _FAULTS)


def _unreadable(reason: str, _connection: sa.Connection, batch: Sequence[Found]) -> list[Outcome]:
    return [Unreadable(reason) for _ in batch]
