"""All that the DICOM door asks of the rest of the gateway, and the values that pass between them.

Every refusal is a value. A `Services` is used by many associations at once, one thread each.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from catalog.callers import Caller
from catalog.query import Query
from dgis.dimse.fragments import Buffer
from dgis.dimse.identify import Identity
from dgis.dimse.pdu import Rejection
from dgis.dimse.proposal import UserIdentity
from dgis.dimse.references import Commitment, Outcome
from dgis.dimse.requestor import Party, TlsTo
from dgis.dimse.status import Refusal


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody proposes an association; all of it is what they say of themselves, but the address."""

    called_ae: str
    calling_ae: str
    address: str
    identity: UserIdentity | None = None
    certificate: bytes | None = field(default=None, repr=False)  # DER, verified by TLS; None without TLS
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """The association may stand, for this caller."""

    caller: Caller
    identity_response: bytes | None = field(default=None, repr=False)  # PS3.7 D.3.3.7.2


@dataclass(frozen=True, slots=True)
class Session:
    """One association, as every operation on it is told."""

    number: int  # of this process, for logs
    caller: Caller
    called_ae: str
    calling_ae: str
    address: str


class Incoming(NamedTuple):
    """What is known of an instance before its first byte comes."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    originator_ae: str | None = None  # of the C-MOVE that caused it (PS3.7 9.1.1)
    originator_message_id: int | None = None


class Stored(Enum):
    """What became of an instance that was answered with success."""

    NEW = "new"
    DUPLICATE = "duplicate"  # the same bytes were there
    CONFLICT = "conflict"  # other bytes were there; both are kept


class Sink(Protocol):
    """Takes one data set. `commit` or `abandon` is called exactly once, whatever `write` did."""

    def write(self, piece: memoryview) -> None:
        """Take the next bytes; they are gone when the call returns. An OSError refuses the instance."""

    def commit(self, identity: Identity) -> Stored | Refusal:
        """Make the data set durable and findable; success is answered only after this returned."""

    def abandon(self) -> None:
        """Forget the data set."""


class Match(Protocol):
    """One answer to a query (`catalog.find.Match`)."""

    @property
    def values(self) -> Mapping[str, str | int | tuple[str, ...] | None]:
        """Values by DICOM keyword, for the keys that were asked and are supported."""


class Outgoing(Protocol):
    """One instance that is to be sent."""

    @property
    def sop_class_uid(self) -> str:
        """As the data set says."""

    @property
    def sop_instance_uid(self) -> str:
        """As the data set says: the original's or the pseudonym."""

    @property
    def transfer_syntax(self) -> str:
        """As it lies."""

    @property
    def length(self) -> int | None:
        """Bytes of the data set; None where that is not known before it is opened."""

    def open(self) -> Iterable[Buffer]:
        """Yield the data set. The first piece comes only when the whole was checked as far as it can be.

        Each piece stays as it is when the next is taken: the door gathers several before it sends them.

        Raises:
            Exception: it cannot be had now; before the first piece, only this instance fails.
        """


class Transcoder(Protocol):
    """Turns instances into transfer syntaxes in which they do not lie, without new identifiers."""

    def targets(self, sop_class_uid: str, transfer_syntax: str) -> Sequence[str]:
        """List what an instance of this transfer syntax can be turned into, the best first."""

    def convert(self, instance: Outgoing, target: str) -> Iterable[Buffer]:
        """Yield the data set in the transfer syntax `target`; raises like `Outgoing.open`."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a C-MOVE may send, and who will receive there (the destination's own clearance)."""

    ae_title: str
    host: str
    port: int
    caller: Caller
    tls: TlsTo | None = None

    def party(self, calling_ae: str) -> Party:
        """Return whom to call, as this AE title."""
        return Party(self.host, self.port, self.ae_title, calling_ae, self.tls)


@dataclass(frozen=True, slots=True)
class DueReport:
    """The report of a transaction, claimed for whoever sends it."""

    transaction: int  # the gateway's own number of it
    claim: str
    outcome: Outcome


class Note(Enum):
    """What the door reports for audit and accounting, beyond what the calls themselves tell."""

    ASSOCIATION_OPENED = "association_opened"
    ASSOCIATION_REFUSED = "association_refused"
    ASSOCIATION_ENDED = "association_ended"
    REQUEST_REFUSED = "request_refused"
    STORE_REFUSED = "store_refused"
    QUERY_ENDED = "query_ended"
    RETRIEVE_ENDED = "retrieve_ended"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened at the door; `words` are ours, nothing of a data set or identifier is in it.

    Without `status` the operation had no end of its own: the association was over before it. `rejection` is
    how an association was rejected, in the words of PS3.8 9.3.4; empty: it was not.
    """

    note: Note
    address: str
    session: Session | None = None
    status: int | None = None
    words: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    rejection: str = ""


class Services(Protocol):
    """What the wiring provides."""

    def admit(self, attempt: Attempt) -> Admitted | Rejection:
        """Decide on an association: called AE title, peer, user identity."""

    def begin_store(self, session: Session, incoming: Incoming) -> Sink | Refusal:
        """Begin to receive one instance."""

    def find(self, session: Session, query: Query) -> Iterator[Match] | Refusal:
        """Answer a query with what this caller may see; the iterator is closed when the query is over.

        Raises:
            catalog.query.InvalidQuery: the query cannot be answered as it is.
        """

    def destination(self, session: Session, ae_title: str) -> Destination | Refusal:
        """Look up a C-MOVE destination; the refusal's comment says how to make it known."""

    def retrieve(
        self, session: Session, query: Query, destination: Destination | None
    ) -> Sequence[Outgoing] | Refusal:
        """List what is to be sent, in series and instance order; None: to the caller itself (C-GET).

        Raises:
            catalog.query.InvalidQuery: the query cannot be answered as it is.
        """

    def transcoder(self) -> Transcoder:
        """Give the means to convert what a receiver does not take as it lies."""

    def commit(self, session: Session, asked: Commitment) -> Refusal | None:
        """Take a storage commitment; None once it is durable and will be reported."""

    def awaits_report(self, session: Session) -> bool:
        """Whether commitments of this association are not reported yet; quick, asked before each message."""

    def next_report(self, session: Session) -> DueReport | None:
        """Give the report of a commitment of this association that is due, if one is; never raises."""

    def reported(self, session: Session, report: DueReport, status: int | None) -> None:
        """Say how a report was answered: None where it could not be sent; never raises.

        One that is not answered, because the association ended, is sent again over another.
        """

    def note(self, event: Event) -> None:
        """Take note of an event; never raises, never waits long."""
