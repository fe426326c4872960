"""What stands behind the DICOM door: peers, receive log, catalog and retriever, as the door asks for them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa

from catalog.callers import Right
from catalog.find import Match, find
from catalog.query import Query
from catalog.retrieve import instances
from dgis.accounting import Accounts
from dgis.cache import values as cache
from dgis.cache.entry import Entry
from dgis.cache.log import AssociationWriter, ReceiveLog
from dgis.configuration import Configuration
from dgis.dimse.endings import EndingKind
from dgis.dimse.identify import Identity
from dgis.dimse.pdu import CALLED_AE_NOT_RECOGNIZED, CALLING_AE_NOT_RECOGNIZED, NO_REASON, Rejection
from dgis.dimse.services import (
    Admitted,
    Attempt,
    Destination,
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
from dgis.identity.peers import Unknown, identify_destination, identify_peer
from dgis.identity.wire import to_json
from dgis.retriever.retriever import Retriever

_NAME_ONLY = 1  # user identity type 1, PS3.7 D.3.3.7: a name that proves nothing


@dataclass(frozen=True, slots=True)
class Behind:
    """The parts of the gateway that the door works with; `engine` is for reading."""

    engine: sa.Engine
    log: ReceiveLog
    retriever: Retriever
    transcoder: Transcoder
    accounts: Accounts
    clock_ms: Callable[[], int]


class Door:
    """The `Services` of the DICOM door."""

    def __init__(self, configuration: Configuration, behind: Behind) -> None:
        self._dicom = configuration.dicom
        self._issuer = configuration.gateway.name
        self._behind = behind
        self._lock = threading.Lock()
        self._writers: dict[int, AssociationWriter] = {}

    def admit(self, attempt: Attempt) -> Admitted | Rejection:
        """Admit a configured peer that calls this gateway by its title."""
        if attempt.called_ae != self._dicom.ae_title:
            return CALLED_AE_NOT_RECOGNIZED
        if attempt.identity is not None and attempt.identity.kind != _NAME_ONLY:
            return NO_REASON  # a credential that nobody here can verify is refused, never passed over
        caller = identify_peer(self._dicom.peers, attempt.calling_ae, attempt.address, self._issuer)
        return CALLING_AE_NOT_RECOGNIZED if isinstance(caller, Unknown) else Admitted(caller)

    def begin_store(self, session: Session, incoming: Incoming) -> Sink | Refusal:
        """Begin an entry in the receive log."""
        if Right.STORE not in session.caller.may:
            return Refusal(Status.NOT_AUTHORIZED, "this peer may not store (dicom.peers, may)")
        meta = cache.StoreMeta(
            sop_class_uid=incoming.sop_class_uid,
            sop_instance_uid=incoming.sop_instance_uid,
            transfer_syntax=incoming.transfer_syntax,
            calling_ae=session.calling_ae,
            called_ae=session.called_ae,
            peer_address=session.address,
            received_ms=self._behind.clock_ms(),
            assertions=to_json(session.caller.assertions),
        )
        entry = self._writer(session).begin(meta)
        return _out_of_resources(entry) if isinstance(entry, cache.Refused) else _LogSink(entry)

    def find(self, session: Session, query: Query) -> Iterator[Match] | Refusal:
        """Search the catalog as this caller."""
        if Right.FIND not in session.caller.may:
            return Refusal(Status.NOT_AUTHORIZED, "this peer may not query (dicom.peers, may)")
        connection = self._behind.engine.connect()
        try:
            found = find(connection, query, session.caller, self._behind.clock_ms())
        except BaseException:
            connection.close()
            raise
        return _closing(connection, found)

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
        if Right.RETRIEVE not in session.caller.may:
            return Refusal(Status.NOT_AUTHORIZED, "this peer may not retrieve (dicom.peers, may)")
        receiver = destination.caller if destination else None
        with self._behind.engine.connect() as connection:
            found = list(instances(connection, query, session.caller, receiver, self._behind.clock_ms()))
        return self._behind.retriever.prepare(found)

    def transcoder(self) -> Transcoder:
        """Give the means to convert."""
        return self._behind.transcoder

    def note(self, event: Event) -> None:
        """Count it; give an association's segment of the log back when it is over."""
        if event.note is Note.ASSOCIATION_ENDED and event.session is not None:
            with self._lock:
                writer = self._writers.pop(event.session.number, None)
            if writer is not None:
                writer.finish(released=event.words == EndingKind.RELEASED.value)
        detail = f"0x{event.status:04X}" if event.status is not None else event.words.partition(":")[0]
        self._behind.accounts.add(event.note.value, detail)

    def _writer(self, session: Session) -> AssociationWriter:
        with self._lock:
            writer = self._writers.get(session.number)
            if writer is None:
                writer = self._writers[session.number] = self._behind.log.association()
            return writer


class _LogSink:
    """One data set on its way into the receive log."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def write(self, piece: memoryview) -> None:
        self._entry.write(piece)

    def commit(self, identity: Identity) -> Stored | Refusal:
        # The UIDs of the data set are those of the command: the door compared them before it called.
        del identity
        kept = self._entry.commit()
        return _out_of_resources(kept) if isinstance(kept, cache.Refused) else Stored.NEW

    def abandon(self) -> None:
        self._entry.abandon()


def _out_of_resources(refused: cache.Refused) -> Refusal:
    return Refusal(Status(refused.status), refused.reason.value[:64])


def _closing(connection: sa.Connection, found: Iterator[Match]) -> Iterator[Match]:
    def matches() -> Iterator[Match | None]:
        try:
            yield None
            yield from found
        finally:
            connection.close()

    begun = matches()
    next(begun)  # from here on, closing the iterator closes the connection, read from or not
    return cast("Iterator[Match]", begun)
