"""What stands behind the DICOM door: peers, receive log, catalog and retriever, as the door asks for them."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

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
from dgis.cache.log import AssociationWriter, ReceiveLog
from dgis.commitment.desk import Desk
from dgis.configuration import Configuration
from dgis.destinations import destination_of
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
    Transcoder,
)
from dgis.dimse.status import Refusal, Status
from dgis.identity.authenticate import Authenticator, Stranger
from dgis.keeping import Keeper
from dgis.retention.allowance import Allowance
from dgis.retriever.retriever import Retriever
from dgis.trail.recorder import Recorder, happening_of, stored_by, with_asked
from dgis.transactions import DOOR, again, may_pass
from dgis.watch import door as figures

_log = structlog.get_logger(__name__)


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
        self._keeper = Keeper(behind.clock_ms, behind.allowance)
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
        return self._keeper.begin(session, incoming, lambda: self._writer(session), self._took)

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
        if ae_title not in self._dicom.destinations:
            return Refusal(
                Status.DESTINATION_UNKNOWN, "not in [dicom.destinations]; add it there and restart"
            )
        return destination_of(self._dicom, ae_title, self._issuer)

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

    def _took(self, session: Session, identity: Identity) -> None:
        with self._lock:
            counts = self._stored.setdefault(session.number, Counter())
            counts[identity.sop_class_uid] += 1

    def _writer(self, session: Session) -> AssociationWriter:
        with self._lock:
            writer = self._writers.get(session.number)
            if writer is None:
                writer = self._writers[session.number] = self._behind.log.association()
            return writer


def _away(error: SQLAlchemyError, status: Status) -> Refusal:
    """Refuse while the database is away (PS3.4 C.4.1.1.4, C.4.2.1.5); any other failure is a defect.

    Raises:
        SQLAlchemyError: the defect.
    """
    if not may_pass(error):
        raise error
    _log.warning("database_away", error=type(error).__name__)
    return Refusal(status, "the database does not answer now; ask again later")
