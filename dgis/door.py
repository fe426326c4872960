"""What stands behind the DICOM door: peers, receive log, catalog and retriever, as the door asks for them."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import structlog
from sqlalchemy.exc import SQLAlchemyError

from catalog.audit.values import Happening
from catalog.callers import Right
from catalog.credentials.values import Reason
from catalog.find import Match
from catalog.query import Query
from catalog.release import Asker, Releases, named
from catalog.retrieve import InstanceRef
from dgis.accounting import Accounts
from dgis.cache import values as cache
from dgis.cache.entry import Entry
from dgis.cache.log import AssociationWriter, ReceiveLog
from dgis.commitment.desk import Desk
from dgis.configuration import Configuration
from dgis.dimse.endings import EndingKind
from dgis.dimse.identify import Identity
from dgis.dimse.pdu import (
    CALLED_AE_NOT_RECOGNIZED,
    CALLING_AE_NOT_RECOGNIZED,
    NO_REASON,
    TEMPORARY_CONGESTION,
    Rejection,
)
from dgis.dimse.references import Commitment
from dgis.dimse.services import (
    Admitted,
    Attempt,
    Destination,
    DueReport,
    Event,
    Incoming,
    Note,
    Outgoing,
    Session,
    Sink,
    Stored,
    Transcoder,
)
from dgis.dimse.status import Refusal, Status
from dgis.identity.authenticate import Authenticator, Stranger
from dgis.identity.peers import identify_destination
from dgis.identity.wire import to_json
from dgis.retention.allowance import Allowance
from dgis.retriever.retriever import Retriever
from dgis.trail.recorder import Recorder, happening_of, stored_by, with_asked
from dgis.transactions import DOOR, again, may_pass
from dgis.watch import door as figures
from dgis.watch.steps import Step, timed

_log = structlog.get_logger(__name__)


_facts = lru_cache(maxsize=256)(to_json)  # asked for with each image

# Whatever becomes of a query or a retrieve, the trail says what was asked.
_MAY_BE_ASKED = frozenset({Note.QUERY_ENDED, Note.RETRIEVE_ENDED, Note.REQUEST_REFUSED})


@dataclass(frozen=True, slots=True)
class Behind:
    """The parts of the gateway that the door works with."""

    releases: Releases
    recorder: Recorder
    log: ReceiveLog
    retriever: Retriever
    transcoder: Transcoder
    accounts: Accounts
    authenticator: Authenticator
    clock_ms: Callable[[], int]
    desk: Desk
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an association asks for just now, for the trail."""

    query: Query
    refs: Sequence[InstanceRef] = ()
    receiver: str = ""


class Door:
    """The `Services` of the DICOM door."""

    def __init__(self, configuration: Configuration, behind: Behind) -> None:
        self._dicom = configuration.dicom
        self._issuer = configuration.gateway.name
        self._behind = behind
        self._lock = threading.Lock()
        self._writers: dict[int, AssociationWriter] = {}
        self._stored: dict[int, Counter[str]] = {}  # taken by each association, by SOP class
        self._asked: dict[int, _Asked] = {}  # the query or retrieve under way, by association

    def admit(self, attempt: Attempt) -> Admitted | Rejection:
        """Admit a configured peer that calls this gateway by its title."""
        if attempt.called_ae != self._dicom.ae_title:
            return CALLED_AE_NOT_RECOGNIZED
        known = self._behind.authenticator.authenticate(attempt)
        if isinstance(known, Admitted):
            return known
        if isinstance(known, Stranger):
            _log.warning("association_not_admitted", reason=known.words)
            return replace(CALLING_AE_NOT_RECOGNIZED, why=known.words)
        _log.warning("association_not_admitted", reason=known.reason.value)
        rejection = TEMPORARY_CONGESTION if known.reason is Reason.KEYS_AWAY else NO_REASON
        return replace(rejection, why=known.reason.value)

    def begin_store(self, session: Session, incoming: Incoming) -> Sink | Refusal:
        """Begin an entry in the receive log."""
        if Right.STORE not in session.caller.may:
            return Refusal(Status.NOT_AUTHORIZED, "this peer may not store (dicom.peers, may)")
        allowance = self._behind.allowance
        if allowance is not None and (over := allowance.exceeded()):
            return Refusal(Status.OUT_OF_RESOURCES, over)
        meta = cache.StoreMeta(
            sop_class_uid=incoming.sop_class_uid,
            sop_instance_uid=incoming.sop_instance_uid,
            transfer_syntax=incoming.transfer_syntax,
            calling_ae=session.calling_ae,
            called_ae=session.called_ae,
            peer_address=session.address,
            received_ms=self._behind.clock_ms(),
            assertions=_facts(session.caller.assertions),
        )
        entry = self._writer(session).begin(meta)
        if isinstance(entry, cache.Refused):
            return _out_of_resources(entry)
        return _LogSink(entry, lambda identity, length: self._took(session, identity, length))

    def find(self, session: Session, query: Query) -> Iterator[Match] | Refusal:
        """Search the catalog as this caller."""
        self._remember(session, _Asked(query))
        if Right.FIND not in session.caller.may:
            return Refusal(Status.NOT_AUTHORIZED, "this peer may not query (dicom.peers, may)")
        asker = Asker(session.caller, session.address)
        try:
            return again(lambda: self._behind.releases.find(query, asker), DOOR)
        except SQLAlchemyError as error:
            return _away(error, Status.OUT_OF_RESOURCES)

    def destination(self, session: Session, ae_title: str) -> Destination | Refusal:
        """Look up a C-MOVE destination; every caller may name any, clearance is judged in `retrieve`."""
        del session
        where = self._dicom.destinations.get(ae_title)
        if where is None:
            return Refusal(
                Status.DESTINATION_UNKNOWN, "not in [dicom.destinations]; add it there and restart"
            )
        caller = identify_destination(self._dicom.peers, ae_title, where, self._issuer)
        return Destination(ae_title, where.host, where.port, caller)

    def retrieve(
        self, session: Session, query: Query, destination: Destination | None
    ) -> Sequence[Outgoing] | Refusal:
        """Resolve what is to be sent, for this caller and, in a C-MOVE, for the one who receives."""
        receiver = destination.caller if destination else None
        asked = _Asked(query, receiver=named(receiver) if receiver else "")
        self._remember(session, asked)
        if Right.RETRIEVE not in session.caller.may:
            return Refusal(Status.NOT_AUTHORIZED, "this peer may not retrieve (dicom.peers, may)")
        asker = Asker(session.caller, session.address, receiver)
        try:
            refs = again(lambda: self._behind.releases.retrieve(query, asker), DOOR)
        except SQLAlchemyError as error:
            return _away(error, Status.OUT_OF_RESOURCES_MATCHES)
        self._remember(session, replace(asked, refs=refs))
        return self._behind.retriever.prepare(refs)

    def transcoder(self) -> Transcoder:
        """Give the means to convert."""
        return self._behind.transcoder

    def commit(self, session: Session, asked: Commitment) -> Refusal | None:
        """Take a storage commitment."""
        return self._behind.desk.commit(session, asked)

    def awaits_report(self, session: Session) -> bool:
        """Whether commitments of this association are not reported yet."""
        return self._behind.desk.awaits_report(session)

    def next_report(self, session: Session) -> DueReport | None:
        """Give the report that is due on this association."""
        return self._behind.desk.next_report(session)

    def reported(self, session: Session, report: DueReport, status: int | None) -> None:
        """Say how a report was answered."""
        self._behind.desk.reported(session, report, status)

    def note(self, event: Event) -> None:
        """Count and record it; give an association's segment of the log back when it is over."""
        if event.note is Note.ASSOCIATION_ENDED and event.session is not None:
            with self._lock:
                writer = self._writers.pop(event.session.number, None)
                stored = self._stored.pop(event.session.number, None)
                self._asked.pop(event.session.number, None)
            if writer is not None:
                writer.finish(released=event.words == EndingKind.RELEASED.value)
            if stored:
                self._behind.recorder.add(stored_by(event.session, stored))
            self._behind.desk.ended(event.session)
        detail = f"0x{event.status:04X}" if event.status is not None else event.words.partition(":")[0]
        self._behind.accounts.add(event.note.value, detail)
        figures.noted(event)
        happening = happening_of(event)
        if happening is not None:
            self._behind.recorder.add(self._with_asked(event, happening))

    def _remember(self, session: Session, asked: _Asked) -> None:
        with self._lock:
            self._asked[session.number] = asked

    def _with_asked(self, event: Event, happening: Happening) -> Happening:
        if event.session is None or event.note not in _MAY_BE_ASKED:
            return happening
        with self._lock:
            asked = self._asked.pop(event.session.number, None)
        if asked is None:  # it could not be read, or asks for nothing
            return happening
        return with_asked(happening, asked.query, asked.refs, asked.receiver)

    def _took(self, session: Session, identity: Identity, length: int) -> None:
        if self._behind.allowance is not None:
            self._behind.allowance.took(length)
        with self._lock:
            counts = self._stored.setdefault(session.number, Counter())
            counts[identity.sop_class_uid] += 1

    def _writer(self, session: Session) -> AssociationWriter:
        with self._lock:
            writer = self._writers.get(session.number)
            if writer is None:
                writer = self._writers[session.number] = self._behind.log.association()
            return writer


class _LogSink:
    """One data set on its way into the receive log."""

    def __init__(self, entry: Entry, took: Callable[[Identity, int], None]) -> None:
        self._entry = entry
        self._took = took
        self._size_bytes = 0

    def write(self, piece: memoryview) -> None:
        self._entry.write(piece)
        self._size_bytes += len(piece)

    def commit(self, identity: Identity) -> Stored | Refusal:
        # The UIDs of the data set are those of the command: the door compared them before it called.
        with timed(Step.KEEP):
            kept = self._entry.commit()
        if isinstance(kept, cache.Refused):
            return _out_of_resources(kept)
        figures.kept(self._size_bytes)
        self._took(identity, self._size_bytes)
        return Stored.NEW

    def abandon(self) -> None:
        self._entry.abandon()


def _away(error: SQLAlchemyError, status: Status) -> Refusal:
    """Refuse while the database is away (PS3.4 C.4.1.1.4, C.4.2.1.5); any other failure is a defect.

    Raises:
        SQLAlchemyError: the defect.
    """
    if not may_pass(error):
        raise error
    _log.warning("database_away", error=type(error).__name__)
    return Refusal(status, "the database does not answer now; ask again later")


def _out_of_resources(refused: cache.Refused) -> Refusal:
    return Refusal(Status(refused.status), refused.reason.value[:64])
