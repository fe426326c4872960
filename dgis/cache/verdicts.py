"""Why bytes are held apart, and what an operator can say about them."""

from enum import Enum


class Kind(Enum):
    """Why an entry is not the instance of its SOP Instance UID."""

    DIFFERENT_BYTES = "different-bytes"  # the SOP Instance UID is taken by other bytes
    UNREADABLE = "unreadable"  # no attributes could be read from the data set
    DAMAGED = "damaged"  # the bytes do not match their checksum; perhaps never acknowledged
    SUPERSEDED = "superseded"  # were the instance until an operator chose others


class Choice(Enum):
    """Which bytes an operator keeps as the instance."""

    STORED = "stored"  # those that are the instance now
    OTHER = "other"  # those held as the conflict
