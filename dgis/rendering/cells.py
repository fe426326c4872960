"""From the payload of a frame to its stored values (PS3.5 8.1.1, 8.2)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgis.rendering.described import Layout
from dgis.rendering.errors import NoPictureError

Cells = NDArray[Any]

_WHOLE = frozenset({8, 16, 32, 64})
_COLOURS = 3
_SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})


def stored_values(payload: bytes, layout: Layout, first_bit: int) -> Cells:
    """Return whole numbers of shape (rows, columns) or (rows, columns, samples).

    Bits beside the stored ones are left out, signs carried; 4:2:2 chroma is repeated.

    Raises:
        NoPictureError: the payload is too short, or its cells are of a kind nobody writes.
    """
    count = layout.rows * layout.columns * layout.samples
    if layout.bits_allocated in _WHOLE:
        kind = f"<{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}"
        cells = np.frombuffer(payload[: len(payload) - len(payload) % (layout.bits_allocated // 8)], kind)
    else:
        cells = _packed(payload, layout.bits_allocated, first_bit, count)
    if cells.size < count:
        return _subsampled(cells, layout)
    return _shaped(_significant(cells[:count], layout), layout)


def float_values(payload: bytes, layout: Layout) -> Cells:
    """Return the numbers of Float or Double Float Pixel Data (PS3.3 C.7.6.24, C.7.6.25).

    Raises:
        NoPictureError: the payload is too short.
    """
    if layout.bits_allocated not in {32, 64} or layout.samples != 1:
        raise NoPictureError(f"floating point cells of {layout.bits_allocated} bits")
    width = layout.bits_allocated // 8
    count = layout.rows * layout.columns
    if len(payload) < count * width:
        raise NoPictureError("fewer pixels than described")
    return np.frombuffer(payload[: count * width], f"<f{width}").reshape(layout.rows, layout.columns)


def _packed(payload: bytes, width: int, first_bit: int, count: int) -> Cells:
    """Return cells without a pause between them, the first bit of a byte its lowest (PS3.5 8.1.1)."""
    bits = np.unpackbits(np.frombuffer(payload, np.uint8), bitorder="little")[first_bit:]
    if width == 1:
        return bits[:count]
    if bits.size < count * width:
        raise NoPictureError("fewer pixels than described")
    whole = np.zeros(count, np.uint64)
    for place in range(width):
        whole |= bits[place : count * width : width].astype(np.uint64) << np.uint64(place)
    return whole


def _significant(cells: Cells, layout: Layout) -> Cells:
    above = layout.bits_allocated - 1 - layout.high_bit
    unused = layout.bits_allocated - layout.bits_stored
    if not unused:
        return cells
    if layout.bits_allocated in _WHOLE:
        return (cells << above) >> unused
    low = layout.high_bit + 1 - layout.bits_stored
    kept: Cells = (cells >> low) & ((1 << layout.bits_stored) - 1)
    return kept


def _shaped(cells: Cells, layout: Layout) -> Cells:
    if layout.samples == 1:
        return cells.reshape(layout.rows, layout.columns)
    if layout.planar:
        return cells.reshape(layout.samples, layout.rows, layout.columns).transpose(1, 2, 0)
    return cells.reshape(layout.rows, layout.columns, layout.samples)


def _subsampled(cells: Cells, layout: Layout) -> Cells:
    """Bring Y Y Cb Cr of two neighbours (PS3.3 C.7.6.3.1.2) to three samples each."""
    pairs = layout.rows * layout.columns // 2
    halved = layout.photometric in _SUBSAMPLED and layout.samples == _COLOURS and not layout.columns % 2
    if not halved or layout.bits_allocated != 8 or cells.size < pairs * 4:  # noqa: PLR2004
        raise NoPictureError("fewer pixels than described")
    four = cells[: pairs * 4].reshape(pairs, 4)
    both = np.stack([four[:, [0, 2, 3]], four[:, [1, 2, 3]]], axis=1)
    return both.reshape(layout.rows, layout.columns, _COLOURS)
