"""DIMSE statuses the door answers with (PS3.7 annex C, PS3.4 B.2.3, C.4) and the refusal that carries one."""

from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """Status (0000,0900)."""

    SUCCESS = 0x0000
    CANCELLED = 0xFE00
    PENDING = 0xFF00
    PENDING_KEYS_NOT_SUPPORTED = 0xFF01  # C-FIND, PS3.4 C.4.1.1.4
    WARNING_SUBOPERATIONS = 0xB000  # C-GET and C-MOVE: some failed, PS3.4 C.4.2.1.5

    PROCESSING_FAILURE = 0x0110
    DUPLICATE_INSTANCE = 0x0111
    NO_SUCH_INSTANCE = 0x0112
    INVALID_ARGUMENT = 0x0115
    INVALID_INSTANCE = 0x0117  # the SOP Instance UID breaks the rules of UIDs
    MISSING_ATTRIBUTE = 0x0120
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    NOT_AUTHORIZED = 0x0124
    DUPLICATE_TRANSACTION = 0x0131  # Storage Commitment, PS3.3 C.14.1.1
    DUPLICATE_INVOCATION = 0x0210
    UNRECOGNIZED_OPERATION = 0x0211
    MISTYPED_ARGUMENT = 0x0212
    RESOURCE_LIMITATION = 0x0213

    OUT_OF_RESOURCES = 0xA700
    OUT_OF_RESOURCES_MATCHES = 0xA701  # unable to calculate the number of matches
    OUT_OF_RESOURCES_SUBOPERATIONS = 0xA702  # unable to perform sub-operations
    DESTINATION_UNKNOWN = 0xA801
    DATA_SET_MISMATCH = 0xA900  # data set or identifier does not match the SOP class
    CANNOT_UNDERSTAND = 0xC000
    UNABLE_TO_PROCESS = 0xC001


COMMENT_CHARACTERS = 64  # Error Comment (0000,0902) is LO


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done, for the peer: status, words that tell nothing private, tags at fault."""

    status: Status
    comment: str
    offending: tuple[int, ...] = ()  # group << 16 | element


def is_pending(status: int) -> bool:
    """Whether more responses follow (PS3.7 C.1)."""
    return status in (Status.PENDING, Status.PENDING_KEYS_NOT_SUPPORTED)


def is_warning(status: int) -> bool:
    """Whether what was asked was done all the same (PS3.7 C.3)."""
    return status in (0x0001, 0x0107, 0x0116) or status >> 12 == 0xB  # noqa: PLR2004 (PS3.7 C.3)
