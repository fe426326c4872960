"""Protocol data units of the upper layer, DICOM PS3.8 2024b section 9.3: their frames and the fixed ones."""

from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct

HEADER = Struct(">BBI")  # type, reserved, length of what follows; all PDUs begin so
PDV_HEADER = Struct(">IBB")  # length of what follows it, presentation context ID, message control header
DATA_HEADER = Struct(">BBIIBB")  # a P-DATA-TF PDU with one presentation data value
PDV_OVERHEAD = PDV_HEADER.size  # part of the PDU length, PS3.8 9.3.5
PDV_LENGTH_FIELD = 4

CONTROL_COMMAND = 0x01  # PS3.8 annex E.2
CONTROL_LAST = 0x02


class PduType(IntEnum):
    """PS3.8 sections 9.3.2 to 9.3.8."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortSource(IntEnum):
    """PS3.8 table 9-26."""

    USER = 0
    PROVIDER = 2


class AbortReason(IntEnum):
    """PS3.8 table 9-26, significant where the provider aborts."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER_VALUE = 6


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an association was not accepted: the three numbers of PS3.8 table 9-21 and our own words.

    `why` is for the trail and the log of whoever rejects; it does not travel.
    """

    result: int  # 1 permanent, 2 transient
    source: int  # 1 user, 2 provider (ACSE), 3 provider (presentation)
    reason: int
    words: str
    why: str = field(default="", compare=False)


NO_REASON = Rejection(1, 1, 1, "no reason given")
APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(1, 1, 2, "application context name not supported")
CALLING_AE_NOT_RECOGNIZED = Rejection(1, 1, 3, "calling AE title not recognized")
CALLED_AE_NOT_RECOGNIZED = Rejection(1, 1, 7, "called AE title not recognized")
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2, "protocol version not supported")
TEMPORARY_CONGESTION = Rejection(2, 3, 1, "temporary congestion")
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2, "local limit exceeded")

REJECTIONS: tuple[Rejection, ...] = (
    NO_REASON,
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLING_AE_NOT_RECOGNIZED,
    CALLED_AE_NOT_RECOGNIZED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    TEMPORARY_CONGESTION,
    LOCAL_LIMIT_EXCEEDED,
)


@dataclass(frozen=True, slots=True)
class Abort:
    """The content of an A-ABORT PDU."""

    source: int
    reason: int


class MalformedPduError(ValueError):
    """Bytes of a peer that are no PDU of the standard; the text holds offsets and lengths, never content."""

    def __init__(self, words: str, reason: AbortReason = AbortReason.INVALID_PARAMETER_VALUE) -> None:
        super().__init__(words)
        self.reason = reason


RELEASE_RQ = HEADER.pack(PduType.RELEASE_RQ, 0, 4) + bytes(4)
RELEASE_RP = HEADER.pack(PduType.RELEASE_RP, 0, 4) + bytes(4)


def encode_abort(source: AbortSource, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> bytes:
    """Return an A-ABORT PDU (PS3.8 9.3.8); a user's abort carries no reason."""
    return HEADER.pack(PduType.ABORT, 0, 4) + bytes((0, 0, source, reason if source else 0))


def decode_abort(body: memoryview | bytes) -> Abort:
    """Read source and reason; a short body is an abort all the same."""
    return Abort(body[2], body[3]) if len(body) >= 4 else Abort(AbortSource.PROVIDER, 0)  # noqa: PLR2004 (PS3.8 table 9-26)


def encode_rejection(rejection: Rejection) -> bytes:
    """Return an A-ASSOCIATE-RJ PDU (PS3.8 9.3.4)."""
    return HEADER.pack(PduType.ASSOCIATE_RJ, 0, 4) + bytes(
        (0, rejection.result, rejection.source, rejection.reason)
    )


def decode_rejection(body: memoryview | bytes) -> Rejection:
    """Read an A-ASSOCIATE-RJ PDU; numbers nobody knows keep their place and get no words."""
    if len(body) < 4:  # noqa: PLR2004 (PS3.8 table 9-21)
        return NO_REASON
    numbers = (body[1], body[2], body[3])
    for known in REJECTIONS:
        if (known.result, known.source, known.reason) == numbers:
            return known
    return Rejection(*numbers, "reason unknown")
