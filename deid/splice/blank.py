from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deid.elements import Buffer
from deid.rectangles import Rectangle
from deid.splice.values import PixelLayout

_CELLS = frozenset({8, 16, 32, 64})
_COLOURS = 3
_SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_VIDEO_BLACK, _VIDEO_BITS = 16, 8  # luminance of black in partial range (ITU-R BT.601), of 8 bits
_PAIR = 4  # values of two neighbouring pixels in 4:2:2: Y Y Cb Cr (PS3.3 C.7.6.3.1.2)


class BlankError(ValueError):
    """Pixels that cannot be blanked; the words name numbers of the image description only."""


@dataclass(frozen=True, slots=True)
class Blank:
    """Rectangles of a native payload that are overwritten, and the pixel cells they are overwritten with.

    `fill` is a cell for each sample. `frames` numbers the frames of this payload that are meant, from 0; it
    has more than one only where frames do not end at a byte and lie in one payload.
    """

    layout: PixelLayout
    rectangles: tuple[Rectangle, ...]
    fill: tuple[int, ...]
    frames: tuple[int, ...] = (0,)

    def apply(self, payload: Buffer) -> Buffer:
        """Return a copy of the payload with the rectangles overwritten, all else as it is."""
        if self.layout.bits_allocated == 1:
            return self._bits(payload)
        blanked = bytearray(payload)
        cells = np.frombuffer(blanked, f"<u{self.layout.bits_allocated // 8}")
        rows, columns, samples = self.layout.rows, self.layout.columns, self.layout.samples
        if cells.size < rows * columns * samples:
            pairs = cells[: rows * columns * 2].reshape(rows, columns // 2, _PAIR)
            self._fill(pairs, (self.fill[0], *self.fill), step=2)
        elif self.layout.planar == 1 and samples > 1:
            planes = cells[: rows * columns * samples].reshape(samples, rows, columns)
            self._fill(planes.transpose(1, 2, 0), self.fill)
        else:
            self._fill(cells[: rows * columns * samples].reshape(rows, columns, samples), self.fill)
        return blanked

    def _fill(self, image: NDArray[Any], fill: Sequence[int], step: int = 1) -> None:
        """Overwrite in an image of shape (rows, columns / step, values)."""
        for each in self.rectangles:
            last = -(-(each.x + each.width) // step)
            image[each.y : each.y + each.height, each.x // step : last] = fill

    def _bits(self, payload: Buffer) -> bytes:
        bits = np.unpackbits(np.frombuffer(payload, np.uint8), bitorder="little")
        size = self.layout.rows * self.layout.columns
        for frame in self.frames:
            image = bits[frame * size : (frame + 1) * size].reshape(self.layout.rows, self.layout.columns, 1)
            self._fill(image, self.fill)
        return np.packbits(bits, bitorder="little").tobytes()


def require_blankable(layout: PixelLayout, payload_bytes: int) -> None:
    """Check that pixels lie as `Blank` takes them to lie.

    Raises:
        BlankError: a cell, or a subsampling, that is not known.
    """
    pixels, bits = layout.rows * layout.columns, layout.bits_allocated
    if not pixels or not layout.samples:
        raise BlankError("an image without pixels")
    if bits == 1:
        if layout.samples != 1:
            raise BlankError("colours of one bit")
        return
    if bits not in _CELLS:
        raise BlankError(f"pixel cells of {bits} bits")
    width = bits // 8
    if payload_bytes >= pixels * layout.samples * width:
        return
    halved = layout.photometric in _SUBSAMPLED and layout.columns % 2 == 0 and layout.samples == _COLOURS
    if not halved or payload_bytes < pixels * 2 * width:
        raise BlankError(f"subsampled pixels ({layout.photometric})")


def fill_cells(layout: PixelLayout, padding: int | None, *, floating: bool) -> tuple[int, ...]:
    """Return what blanked pixels become, a cell a sample: padding where it is valid, else black.

    Black is the lowest value of MONOCHROME2, the highest of MONOCHROME1 (PS3.3 C.7.6.3.1.2), no light in a
    colour image, entry 0 of a palette, and zero in what is `floating`. `padding` is the Pixel Padding Value
    as a number; it is defined for grey images alone (PS3.3 C.7.5.1.1.2).
    """
    if floating:
        return (0,) * layout.samples
    low, high = _range(layout)
    if layout.photometric.startswith("MONOCHROME") and layout.samples == 1:
        black = high if layout.photometric == "MONOCHROME1" else low
        return (_cell(layout, padding if padding is not None and low <= padding <= high else black),)
    if layout.photometric.startswith("YBR") and layout.samples == _COLOURS:
        partial = layout.photometric.startswith("YBR_PARTIAL") and layout.bits_stored >= _VIDEO_BITS
        black = _VIDEO_BLACK << (layout.bits_stored - _VIDEO_BITS) if partial else 0
        grey = 1 << (layout.bits_stored - 1)
        return tuple(_cell(layout, value) for value in (black, grey, grey))
    return (0,) * layout.samples


def _range(layout: PixelLayout) -> tuple[int, int]:
    values = 1 << layout.bits_stored
    return (-(values >> 1), (values >> 1) - 1) if layout.signed else (0, values - 1)


def _cell(layout: PixelLayout, value: int) -> int:
    """Return the cell of a value: where it lies lowest its sign is carried through the rest of the cell."""
    shift = layout.high_bit + 1 - layout.bits_stored
    stored = value if shift == 0 else value & ((1 << layout.bits_stored) - 1)
    return (stored << shift) & ((1 << layout.bits_allocated) - 1)
