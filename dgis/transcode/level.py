"""What the elements of one level say about the others: sizes of images, the sign of numbers."""

from dataclasses import dataclass, field
from typing import Self

from deid.elements import Encoding
from deid.vr import standard_vr

# PS3.3 C.7.6.3 (Image Pixel), C.7.6.6 (Multi-frame), C.11.1 (Modality LUT).
SAMPLES = 0x00280002
PHOTOMETRIC = 0x00280004
PLANAR = 0x00280006
FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011
ALLOCATED = 0x00280100
STORED = 0x00280101
HIGH_BIT = 0x00280102
REPRESENTATION = 0x00280103
LUT_DESCRIPTOR = 0x00283002
_TOLD = frozenset(
    {SAMPLES, PHOTOMETRIC, PLANAR, FRAMES, ROWS, COLUMNS}
    | {ALLOCATED, STORED, HIGH_BIT, REPRESENTATION, LUT_DESCRIPTOR}
)
_LONGEST_TOLD_BYTES = 64
_MOST_DIGITS = 12  # PS3.5 6.2: an IS has at most 12 characters
_SINGLE = b"\x01\0"
_BITS_IN_BYTE = 8


@dataclass(slots=True)
class Level:
    """A data set or an item; values are kept as little endian bytes."""

    around: Self | None = None
    depth: int = 0
    _values: dict[int, bytes] = field(default_factory=dict, repr=False)

    @staticmethod
    def wants(tag: int, length: int) -> bool:
        """Whether the value is one to learn."""
        return tag in _TOLD and length <= _LONGEST_TOLD_BYTES

    def learn(self, tag: int, value: bytes) -> None:
        """Keep a value."""
        self._values[tag] = value

    def number(self, tag: int) -> int | None:
        """Return a whole number, whatever its VR; None where there is none."""
        value = self._values.get(tag, b"")
        if tag == FRAMES:
            text = value.decode("ascii", "replace").strip("\0 ").removeprefix("+")
            return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
        return int.from_bytes(value[:2], "little") if len(value) >= len(_SINGLE) else None

    def matrix_bytes(self) -> int:
        """Return the size of the image that is described (PS3.3 C.7.6.3); 0 where none is."""
        cells = (self.number(ROWS) or 0) * (self.number(COLUMNS) or 0) * (self.number(SAMPLES) or 1)
        return -(-cells * (self.number(FRAMES) or 1) * (self.number(ALLOCATED) or 0) // _BITS_IN_BYTE)

    def text(self, tag: int) -> str:
        """Return a code string; "" where there is none."""
        return self._values.get(tag, b"").decode("ascii", "replace").strip("\0 ")

    def vr(self, tag: int, stated: str, encoding: Encoding) -> str:
        """Return the VR an element is to have in explicit form, its choices resolved.

        Whether a number has a sign depends on the pixels (PS3.6: "US or SS"); the image may be described
        around the item at hand.
        """
        if not encoding.implicit:
            return stated
        choice = standard_vr(tag)
        if choice == "US or OW":  # LUT Data (PS3.3 C.11.1.1.1): one entry is a number, more are words
            return "US" if self._values.get(LUT_DESCRIPTOR, b"")[:2] == _SINGLE else "OW"
        if choice == "US or SS":
            return "SS" if self._signed() else "US"
        return stated

    def _signed(self) -> bool:
        level: Level | None = self
        while level is not None:
            representation = level.number(REPRESENTATION)
            if representation is not None:
                return representation == 1
            level = level.around
        return False
