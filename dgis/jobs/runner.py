"""The chore of a door that does what callers asked for.

    asked -> claim -> decide anew for requester and destination, recorded -> send -> end, with its entry
    asked -> claim -> decide anew for the requester -> bring near -> end, with its entry

A crash in between lets the lease run out; the job is begun anew, and the destination gets some instances
twice. The commit of the end is the commit point.
"""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.audit.values import Outcome as Ended
from catalog.callers import Right
from catalog.release import Asker, Releases, named
from catalog.retrieve import InstanceRef
from dgis.commitment.leases import kept
from dgis.dimse.delivery import Tally
from dgis.dimse.limits import Limits
from dgis.dimse.sending import Route, Sending
from dgis.dimse.services import Destination, Transcoder
from dgis.jobs import queue
from dgis.jobs.prefetching import Bringing, Prefetching
from dgis.jobs.subjects import query_of
from dgis.jobs.values import Counts, End, Job, Kind, State
from dgis.retriever.retriever import Retriever
from dgis.trail.recorder import with_asked

_log = structlog.get_logger(__name__)

_PROGRESS_SECONDS = 0.5
_MOST_ATTEMPTS = 3  # of a job that ends the process which runs it
_GONE = "it is no longer here, or not for requester and destination"
_NO_MORE = "it is no longer here, or not for the requester"
_UNKNOWN = "the destination is no longer configured"
_DEADLY = "the gateway ended three times while it ran"


@dataclass(frozen=True, slots=True)
class Means:
    """What running jobs works with; `destinations` are by AE title."""

    engine: sa.Engine
    gateway_id: str
    ae_title: str
    writer: str
    releases: Releases
    retriever: Retriever
    transcoder: Transcoder
    destinations: Mapping[str, Destination]
    clock_ms: Callable[[], int]
    lease_ms: int
    limits: Limits
    bringing: Bringing


class Runner:
    """Runs jobs, one at a time; several may run at once."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let what runs give back what is left of it."""
        self._stopping.set()

    def run_once(self) -> bool:
        """Run one job to its end; False where none is due.

        Raises:
            SQLAlchemyError: the database does not answer; the lease runs out, and the job is begun anew.
        """
        means = self._means
        if self._stopping.is_set():
            return False
        with means.engine.begin() as connection:
            claim, now_ms = uuid.uuid4().hex, means.clock_ms()
            job = queue.claim(connection, means.gateway_id, claim, now_ms, means.lease_ms)
        if job is None:
            return False
        with kept(means.engine, partial(queue.renew, job), means.lease_ms, means.clock_ms):
            refs = self._refs(job)
            end = self._run(job, refs)
            with means.engine.begin() as connection:
                if end is None:
                    queue.release(connection, job)
                else:
                    self._note(connection, job, end, refs)
        return True

    def _refs(self, job: Job) -> list[InstanceRef]:
        """Resolve it for both, as everything that leaves; that originals are named is recorded first."""
        order, destination = job.order, self._means.destinations.get(job.order.destination)
        near = order.kind is Kind.PREFETCH
        if job.attempts > _MOST_ATTEMPTS or Right.RETRIEVE not in order.caller.may:
            return []
        if destination is None and not near:
            return []
        with self._means.engine.execution_options(read_only=True).connect() as connection:
            query = query_of(connection, order.subject)
        if query is None:
            return []
        if destination is None or near:
            return self._means.releases.resolve(query, Asker(order.caller, order.address))
        return self._means.releases.retrieve(query, Asker(order.caller, order.address, destination.caller))

    def _run(self, job: Job, refs: list[InstanceRef]) -> End | None:
        """Do it; None where it is to be begun anew."""
        if job.attempts > _MOST_ATTEMPTS:
            return End(State.FAILED, words=_DEADLY)
        if job.order.kind is Kind.PREFETCH:
            return self._bring(job, refs) if refs else End(State.FAILED, words=_NO_MORE)
        destination = self._means.destinations.get(job.order.destination)
        if destination is None:
            return End(State.FAILED, words=_UNKNOWN)
        if not refs:
            return End(State.FAILED, words=_GONE)
        means = self._means
        route = Route(destination.party(means.ae_title), means.transcoder, means.limits)
        sending, tally = Sending(route, _Progress(means, job, self._stopping)), Tally(len(refs))
        sending.run(means.retriever.prepare(refs), tally)
        return self._end(tally, sending, "taken")

    def _bring(self, job: Job, refs: list[InstanceRef]) -> End | None:
        means = self._means
        now_ms = time.time_ns() // 1_000_000  # as the file system has it
        bringing = Prefetching(means.bringing, _Progress(means, job, self._stopping), now_ms)
        with means.engine.execution_options(read_only=True).connect() as connection:
            cached = bringing.cached(connection, refs)
        return self._end(bringing.run(refs, cached), bringing, "brought")

    def _end(self, tally: Tally, done: Sending | Prefetching, what: str) -> End | None:
        if done.stopped and self._stopping.is_set():
            return None
        total = tally.remaining + tally.completed + tally.warning + tally.failed
        counts, words = _counts(tally, total), done.words or None
        if done.stopped:
            return End(State.CANCELLED, counts, words)
        if tally.failed:
            return End(State.FAILED, counts, words or f"{tally.failed} instances were not {what}")
        return End(State.DONE, counts)

    def _note(self, connection: sa.Connection, job: Job, end: End, refs: list[InstanceRef]) -> None:
        now_ms, order = self._means.clock_ms(), job.order
        if not queue.over(connection, job, end, now_ms):
            _log.warning("job_lost")  # another runs it: its own end counts
            return
        counts: dict[str, Json] = {**asdict(end.counts)}
        detail: dict[str, Json] = {"door": "job", "job": job.id, "state": end.state.value, **counts}
        if end.words:
            detail["words"] = end.words
        outcome = Ended.MINOR_FAILURE if end.state is State.FAILED else Ended.SUCCESS
        event = Event.TRANSFER
        if order.kind is Kind.PREFETCH:  # nothing left the grid
            event, detail["what"] = Event.RETRIEVE, "prefetch"
        happening = Happening(event, named(order.caller), outcome, order.address, detail=detail)
        query = query_of(connection, order.subject)
        if query is not None:
            receiver = self._means.destinations.get(order.destination)
            happening = with_asked(happening, query, refs, named(receiver.caller) if receiver else "")
        trail.append(connection, self._means.writer, [happening], now_ms)


class _Progress:
    """Writes down how far a job is, now and then, and hears whether it is to go on."""

    def __init__(self, means: Means, job: Job, stopping: threading.Event) -> None:
        self._means = means
        self._job = job
        self._stopping = stopping
        self._next = 0.0

    def __call__(self, tally: Tally) -> bool:
        if self._stopping.is_set():
            return False
        if time.monotonic() < self._next:
            return True
        self._next = time.monotonic() + _PROGRESS_SECONDS
        total = tally.remaining + tally.completed + tally.warning + tally.failed
        try:
            with self._means.engine.begin() as connection:
                return queue.progress(connection, self._job, _counts(tally, total))
        except SQLAlchemyError as error:
            _log.warning("job_progress_waits", error=type(error).__name__)
            return True


def _counts(tally: Tally, total: int) -> Counts:
    return Counts(total, tally.completed, tally.warning, tally.failed)
