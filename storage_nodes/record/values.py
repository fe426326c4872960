import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL: Final = "1.2.840.10008.1.2.4.202"

PIXEL_VRS: Final = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
"""VRs with a 4-byte length, hence a 12-byte element header (DICOM PS3.5 Table 7.1-1)."""
LONGEST_VALUE_BYTES: Final = 0xFFFF_FFFE
"""The longest value of defined length; one more means undefined (DICOM PS3.5 7.1.1)."""
UID: Final = re.compile(r"[0-9.]{1,64}")
"""Looser than PS3.5 9.1 (no rule for components): classes that senders made up must be kept as they are."""


class Codec(IntEnum):
    """How a payload lies in `frames` (FORMAT.md)."""

    RAW = 0
    ZSTD = 1
    HTJ2K = 2


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """What the header says of one native frame (DICOM PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: int
    photometric: str

    @property
    def frame_bits(self) -> int:
        """Bits of one frame without padding."""
        return self.rows * self.columns * self.samples * self.bits_allocated


@dataclass(frozen=True, slots=True)
class PixelElement:
    """The pixel element of an instance, taken apart.

    Attributes:
        tag: group and element as one number, 0x7FE00010 for Pixel Data.
        vr: as the de-identified data set states it.
        offset_table: value of the basic offset table; empty where native or absent.
        layout: None where the header does not tell, or the pixels are encapsulated.
        payloads: native frames (little endian, no padding) or fragments, in order. They are read once, in
            turn; what no codec makes smaller is referenced by the record, not copied.
    """

    tag: int
    vr: str
    encapsulated: bool
    offset_table: bytes
    layout: FrameLayout | None
    payloads: Sequence[Buffer] = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecordInstance:
    """One de-identified instance on its way into a record.

    Attributes:
        before: data elements in front of the pixel element, Explicit VR Little Endian.
        after: data elements behind it.
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str
    before: bytes = field(repr=False)
    after: bytes = field(repr=False)
    pixel: PixelElement | None


@dataclass(frozen=True, slots=True)
class Extent:
    """Where something lies in an object, bytes."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """What a replica row keeps: one read opens a record, and the node need not be trusted.

    Attributes:
        size: of the whole object, bytes.
        index_sha256: covers, by way of the index, each header block and payload.
    """

    size: int
    index: Extent
    headers: Extent
    frames: Extent
    index_sha256: bytes
