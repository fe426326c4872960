"""An archive in memory behind the DICOM door, as small as the `Services` protocol allows."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from catalog.callers import ALL_RIGHTS, Caller
from catalog.query import Level, Query
from dgis.dimse.limits import Limits
from dgis.dimse.pdu import CALLED_AE_NOT_RECOGNIZED, Rejection
from dgis.dimse.references import Commitment
from dgis.dimse.server import DicomServer
from dgis.dimse.services import Admitted, Attempt, Destination, DueReport, Event, Incoming, Session, Stored
from dgis.dimse.status import Refusal, Status

CALLER = Caller("pacs", may=ALL_RIGHTS)
SLOW_ENOUGH = Limits(artim_seconds=5, idle_seconds=20, response_seconds=20, close_seconds=1)


@dataclass(frozen=True)
class Kept:
    """One stored instance, and the `Outgoing` it becomes."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    data: bytes = field(repr=False)
    study_uid: str = ""
    series_uid: str = ""
    chunk_bytes: int = 70_000
    failing: BaseException | None = None
    failing_at: int = 0  # piece

    @property
    def length(self) -> int:
        return len(self.data)

    def open(self) -> Iterator[memoryview]:
        view = memoryview(self.data)
        for number, start in enumerate(range(0, len(view), self.chunk_bytes)):
            if self.failing is not None and number == self.failing_at:
                raise self.failing
            yield view[start : start + self.chunk_bytes]


@dataclass(frozen=True)
class FakeMatch:
    values: Mapping[str, object]
    original: bool = True


class MemorySink:
    def __init__(self, archive: "Archive", incoming: Incoming) -> None:
        self._archive = archive
        self._incoming = incoming
        self._data = bytearray()
        self.closed = 0

    def write(self, piece: memoryview) -> None:
        if self._archive.write_error is not None:
            raise self._archive.write_error
        self._data += piece

    def commit(self, identity):
        self.closed += 1
        if self._archive.commit_answer is not None:
            return self._archive.commit_answer
        return self._archive.keep(self._incoming, identity, bytes(self._data))

    def abandon(self) -> None:
        self.closed += 1
        self._archive.abandoned += 1


class NullSink:
    """Takes everything, keeps nothing: what is measured with it is the door."""

    def write(self, piece: memoryview) -> None:
        pass

    def commit(self, identity):
        return Stored.NEW

    def abandon(self) -> None:
        pass


class NoTranscoder:
    def targets(self, sop_class_uid: str, transfer_syntax: str) -> Sequence[str]:
        return ()

    def convert(self, instance, target: str):
        raise AssertionError("nothing was offered")


class Archive:
    """Implements `Services`; the public attributes script its behaviour."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.instances: dict[str, Kept] = {}
        self.incoming: list[Incoming] = []
        self.attempts: list[Attempt] = []
        self.events: list[Event] = []
        self.queries: list[Query] = []
        self.destinations: dict[str, Destination] = {}
        self.matches: Callable[[Query], Iterator[FakeMatch]] = lambda _query: iter(())
        self.outgoing: Sequence[Kept] | None = None
        self.called_ae: str | None = None
        self.begin_answer: Refusal | BaseException | None = None
        self.write_error: BaseException | None = None
        self.commit_answer: Refusal | Stored | None = None
        self.refusal: Refusal | None = None
        self.abandoned = 0
        self.commitments: list[Commitment] = []
        self.due: list[DueReport] = []
        self.statuses: list[tuple[int, int | None]] = []
        self.looks = 0
        self.sink: Callable[[Incoming], object] = lambda incoming: MemorySink(self, incoming)
        self.converter: object = NoTranscoder()

    def admit(self, attempt: Attempt) -> Admitted | Rejection:
        self.attempts.append(attempt)
        if self.called_ae is not None and attempt.called_ae != self.called_ae:
            return CALLED_AE_NOT_RECOGNIZED
        return Admitted(CALLER, b"response" if attempt.identity else None)

    def begin_store(self, session: Session, incoming: Incoming):
        self.incoming.append(incoming)
        if isinstance(self.begin_answer, BaseException):
            raise self.begin_answer
        return self.begin_answer or self.sink(incoming)

    def keep(self, incoming: Incoming, identity, data: bytes) -> Stored:
        with self.lock:
            known = self.instances.get(incoming.sop_instance_uid)
            if known is not None:
                return Stored.DUPLICATE if known.data == data else Stored.CONFLICT
            self.instances[incoming.sop_instance_uid] = Kept(
                incoming.sop_class_uid,
                incoming.sop_instance_uid,
                incoming.transfer_syntax,
                data,
                identity.study_uid,
                identity.series_uid,
            )
            return Stored.NEW

    def find(self, session: Session, query: Query):
        self.queries.append(query)
        return self.refusal or self.matches(query)

    def destination(self, session: Session, ae_title: str):
        return self.destinations.get(ae_title) or Refusal(Status.DESTINATION_UNKNOWN, "no such destination")

    def retrieve(self, session: Session, query: Query, destination: Destination | None):
        self.queries.append(query)
        if self.refusal is not None:
            return self.refusal
        if self.outgoing is not None:
            return self.outgoing
        return [kept for kept in self.instances.values() if _asked(kept, query)]

    def transcoder(self):
        return self.converter

    def commit(self, session: Session, asked: Commitment):
        self.commitments.append(asked)
        return self.refusal

    def awaits_report(self, session: Session) -> bool:
        return bool(self.commitments)

    def next_report(self, session: Session):
        self.looks += 1
        return self.due.pop(0) if self.due else None

    def reported(self, session: Session, report: DueReport, status: int | None) -> None:
        self.statuses.append((report.transaction, status))

    def note(self, event: Event) -> None:
        self.events.append(event)


def _asked(kept: Kept, query: Query) -> bool:
    uids = {
        Level.STUDY: ("StudyInstanceUID", kept.study_uid),
        Level.SERIES: ("SeriesInstanceUID", kept.series_uid),
        Level.IMAGE: ("SOPInstanceUID", kept.sop_instance_uid),
    }
    keyword, uid = uids[query.level]
    key = query.key(keyword)
    return key is not None and uid in key.values


@contextmanager
def serving(archive: Archive, limits: Limits = SLOW_ENOUGH) -> Iterator[int]:
    """Run a door over the archive on a port of the system's choice; yields the port."""
    server = DicomServer(archive, limits)
    port = server.listen("127.0.0.1", 0)
    try:
        yield port
    finally:
        assert server.stop(10), "the door did not stop by itself"
