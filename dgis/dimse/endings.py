"""How an association ends, as a value that travels up in one exception."""

from dataclasses import dataclass
from enum import Enum

from dgis.dimse.pdu import Rejection


class EndingKind(Enum):
    """Whose doing it was."""

    UNREACHABLE = "not reached"
    RELEASED = "released"
    REJECTED = "rejected"
    PEER_ABORTED = "aborted by the peer"
    CLOSED = "closed without a release"
    CUT_OFF = "closed inside a PDU"
    TOO_SLOW = "too slow"
    VIOLATION = "protocol violation"
    ABORTED = "aborted by us"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why an association is over; the words name rules and lengths, never content."""

    kind: EndingKind
    words: str = ""
    rejection: Rejection | None = None


class AssociationEndedError(ConnectionError):
    """The association is over; whatever was in progress is to be abandoned."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(f"{ending.kind.value}: {ending.words}" if ending.words else ending.kind.value)
        self.ending = ending
