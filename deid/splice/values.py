from dataclasses import dataclass
from enum import StrEnum

from deid.elements import Encoding


class Unspliced(StrEnum):
    """Why an instance does not splice; it is then sealed whole."""

    MALFORMED = "the data set is no well-formed list of elements"
    UNKNOWN_SYNTAX = "the transfer syntax is not known to this gateway"
    CONTRADICTION = "the pixel element contradicts the transfer syntax"
    TWO_PIXEL_ELEMENTS = "more than one pixel element"
    PIXEL_VR = "the pixel element has a value representation that holds no pixels"
    NO_LAYOUT = "pixel bytes are there but nothing that describes them"
    VALUE_SHORT = "the pixel value is shorter than the image it should hold"
    TOO_MANY_PAYLOADS = "more frames or fragments than can be kept apart"
    FRAGMENTS = "the fragments of the pixel element are damaged"


@dataclass(frozen=True, slots=True)
class Unsplittable:
    """A data set whose pixels cannot be told from the rest; a value, not an error."""

    reason: Unspliced


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How native pixels lie in a frame (PS3.3 C.7.6.3), every number already made plausible.

    `swap` is the word size in bytes whose reversal makes the value little endian; 0: it already is.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: int
    photometric: str
    frames: int
    swap: int


@dataclass(frozen=True, slots=True)
class Hole:
    """One payload: a native frame or one fragment value, as offsets in bytes into the original data set.

    Where `layout.swap` is set the range counts bytes of the value *after* its words were reversed; the two
    counts differ only in a word that an odd-sized frame ends in. `deid.splice.payload_of` minds that.
    """

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Split:
    """A data set told apart: holes are payloads, everything else is header and goes to the seal.

    `length` is that of the bytes looked at; where `inflated`, those are not the bytes that arrived. Elements
    before the pixel element are `[0, head_end)`, those after it `[tail_start, length)`; without a pixel
    element both are `length`. The pixel value is `[value_start, value_end)`, delimiter excluded; native bytes
    of it beyond the last hole are no image and may hide anything.
    """

    length: int
    encoding: Encoding
    inflated: bool
    pixel_tag: int | None
    pixel_vr: str | None
    encapsulated: bool
    offset_table: bytes
    layout: PixelLayout | None
    holes: tuple[Hole, ...]
    head_end: int
    value_start: int
    value_end: int
    tail_start: int

    @property
    def swap(self) -> int:
        """The word size in bytes to reverse in every payload; 0: none."""
        return 0 if self.layout is None or self.encapsulated else self.layout.swap
