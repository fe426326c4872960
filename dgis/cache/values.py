"""What is said about one received instance, where its bytes lie, and why bytes were refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

# PS3.4 Table B.2-1: Refused: Out of Resources.
_OUT_OF_RESOURCES = 0xA700


@dataclass(frozen=True, slots=True)
class StoreMeta:
    """What is known of an instance when its first byte arrives; written beside the bytes.

    `assertions` are the publisher's, as JSON. The layout has room for `study_uid` and `series_uid`; no door
    decodes data sets, so none gives them, and the indexer reads them from the bytes.
    """

    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    transfer_syntax: str
    calling_ae: str
    called_ae: str
    peer_address: str
    received_ms: int
    assertions: Mapping[str, Json] = field(default_factory=dict, repr=False)
    study_uid: str | None = field(default=None, repr=False)
    series_uid: str | None = field(default=None, repr=False)
    association: str = ""  # set by the log: which association wrote the entry


@dataclass(frozen=True, slots=True)
class Location:
    """Where the bytes of one instance lie on this gateway's disk.

    The epoch tells this life of the segment file from the next one: bytes are never taken for others'.
    """

    segment_id: str
    epoch: bytes
    position: int  # of the entry in the segment, bytes
    span: int  # of the whole entry, bytes, a multiple of the block
    data_offset: int  # of the data set from `position`, bytes
    length: int  # of the data set, bytes
    sha256: bytes = field(repr=False)  # of the data set

    @property
    def end(self) -> int:
        """The first byte after the entry."""
        return self.position + self.span


@dataclass(frozen=True, slots=True)
class Stored:
    """The bytes are durable and will be found again: success may be answered."""

    location: Location


class RefusalReason(Enum):
    """Why the log takes no bytes now; the words may be shown to the sender."""

    NO_SPACE = "the disk of the gateway is full"
    CACHE_FULL = "the cache of the gateway is full of images that are not yet published"
    STORAGE_FAILED = "the disk of the gateway does not take writes"
    STOPPING = "the gateway is stopping"


@dataclass(frozen=True, slots=True)
class Refused:
    """No bytes were kept; the sender may try again later."""

    reason: RefusalReason

    @property
    def status(self) -> int:
        """The DIMSE status: out of resources, for every reason here."""
        return _OUT_OF_RESOURCES
