"""A frame of native pixels as a picture for a person: nothing faint is hidden by its grey levels."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deid.elements import Buffer, Encoding, elements
from deid.splice import PixelLayout, Split, payload_of
from deid.splice.layout import PIXELS

Picture = NDArray[Any]  # of uint8, or grey of uint16
_Cells = NDArray[Any]

_BYTE_BITS, _COLOURS = 8, 3
_PALETTES = ((0x00281101, 0x00281201), (0x00281102, 0x00281202), (0x00281103, 0x00281203))
_SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
# PS3.3 C.7.6.3.1.2: what Cb and Cr add to red, green and blue; in partial range all is stretched before.
_CHROMA = np.array([[0.0, -0.344136, 1.772], [1.402, -0.714136, 0.0]])
_PARTIAL_BLACK, _PARTIAL_LUMINANCE, _PARTIAL_CHROMA = 16.0, 219.0, 224.0


class NoPictureError(ValueError):
    """Pixels that cannot be shown; the words name numbers of the image description only."""


def picture(dataset: Buffer, split: Split, frame: int) -> Picture:
    """Return a frame, counted from 1, of a data set in explicit VR little endian with native pixels.

    Shape (rows, columns) grey or (rows, columns, 3) RGB. Grey levels are stretched from the lowest to the
    highest of the frame, to 16 bits where it has more than 8.

    Raises:
        NoPictureError: there is no such frame, or its pixels lie in a way not known here.
    """
    layout = split.layout
    if layout is None or not split.holes:
        raise NoPictureError("there are no pixels to show")
    if not 1 <= frame <= layout.frames:
        raise NoPictureError(f"it has {layout.frames} frames")
    if layout.bits_allocated == 1:
        return _bits(dataset, split, layout, frame)
    payload = payload_of(dataset, split, frame - 1)
    if layout.samples == 1:
        if layout.photometric == "PALETTE COLOR":
            return _palette(dataset, _values(payload, split, layout).reshape(layout.rows, layout.columns))
        return _grey(_values(payload, split, layout).reshape(layout.rows, layout.columns), layout)
    if layout.samples == _COLOURS and layout.bits_allocated == _BYTE_BITS:
        return _colour(np.frombuffer(payload, np.uint8), layout)
    raise NoPictureError(f"{layout.samples} samples of {layout.bits_allocated} bits a pixel")


def _bits(dataset: Buffer, split: Split, layout: PixelLayout, frame: int) -> Picture:
    size = layout.rows * layout.columns
    together = len(split.holes) == 1
    payload = payload_of(dataset, split, 0 if together else frame - 1)
    bits = np.unpackbits(np.frombuffer(payload, np.uint8), bitorder="little")
    start = (frame - 1) * size if together else 0
    return (bits[start : start + size].reshape(layout.rows, layout.columns) * 255).astype(np.uint8)


def _values(payload: Buffer, split: Split, layout: PixelLayout) -> _Cells:
    """Return the values of grey pixels: bits beside the stored ones left out, signs carried."""
    bits = layout.bits_allocated
    if bits not in {8, 16, 32, 64}:
        raise NoPictureError(f"pixel cells of {bits} bits")
    if split.pixel_tag != PIXELS:
        return np.nan_to_num(np.frombuffer(payload, f"<f{bits // 8}").astype(np.float64))
    above = bits - 1 - layout.high_bit
    kind = "i" if layout.signed else "u"
    cells = np.frombuffer(payload, f"<{kind}{bits // 8}")
    return (cells << above) >> (bits - layout.bits_stored) if above or layout.bits_stored < bits else cells


def _grey(values: _Cells, layout: PixelLayout) -> Picture:
    low, high = float(values.min()), float(values.max())
    deep = layout.bits_stored > _BYTE_BITS
    most = 0xFFFF if deep else 0xFF
    stretched = (values.astype(np.float64) - low) * (most / max(high - low, 1e-300))
    if layout.photometric == "MONOCHROME1":
        stretched = most - stretched
    return np.clip(np.rint(stretched), 0, most).astype(np.uint16 if deep else np.uint8)


def _palette(dataset: Buffer, indices: _Cells) -> Picture:
    found = {
        element.tag: bytes(dataset[element.value : element.end])
        for element in elements(dataset, Encoding.EXPLICIT_LE)
        if 0x00281101 <= element.tag <= 0x00281203  # noqa: PLR2004 (the palettes, PS3.3 C.7.9)
    }
    planes = [_through(found.get(said, b""), found.get(data, b""), indices) for said, data in _PALETTES]
    return np.stack(planes, axis=-1)


def _through(said: bytes, data: bytes, indices: _Cells) -> NDArray[np.uint8]:
    """Look indices up in one palette (PS3.3 C.7.6.3.1.5)."""
    descriptor = np.frombuffer(said, "<u2")
    if descriptor.size != _COLOURS or not data:
        raise NoPictureError("a palette that is not there, or in segments")
    count, first, bits = (int(each) for each in descriptor)
    count = count or 1 << 16
    wide = len(data) >= 2 * count
    entries = np.frombuffer(data, "<u2" if wide else np.uint8)[:count]
    if entries.size < count:
        raise NoPictureError("a palette that is cut")
    shift = bits - _BYTE_BITS if wide and bits > _BYTE_BITS else 0
    return (entries >> shift).astype(np.uint8)[np.clip(indices.astype(np.int64) - first, 0, count - 1)]


def _colour(cells: _Cells, layout: PixelLayout) -> Picture:
    rows, columns = layout.rows, layout.columns
    if cells.size < rows * columns * _COLOURS:
        if layout.photometric not in _SUBSAMPLED or columns % 2 or cells.size < rows * columns * 2:
            raise NoPictureError(f"subsampled pixels ({layout.photometric})")
        pairs = cells[: rows * columns * 2].reshape(rows, columns // 2, 4)
        image = np.stack([pairs[..., [0, 2, 3]], pairs[..., [1, 2, 3]]], axis=2).reshape(rows, columns, 3)
    elif layout.planar == 1:
        image = cells[: rows * columns * _COLOURS].reshape(_COLOURS, rows, columns).transpose(1, 2, 0)
    else:
        image = cells[: rows * columns * _COLOURS].reshape(rows, columns, _COLOURS)
    convert = _TO_RGB.get(layout.photometric)
    return np.ascontiguousarray(image) if convert is None else convert(image)


def _full(image: _Cells) -> Picture:
    values = image.astype(np.float64)
    return _rgb(values[..., :1], values[..., 1:] - 128.0)


def _partial(image: _Cells) -> Picture:
    values = image.astype(np.float64)
    luminance = (values[..., :1] - _PARTIAL_BLACK) * (255.0 / _PARTIAL_LUMINANCE)
    return _rgb(luminance, (values[..., 1:] - 128.0) * (255.0 / _PARTIAL_CHROMA))


def _rgb(luminance: _Cells, chroma: _Cells) -> Picture:
    rgb: Picture = np.clip(np.rint(luminance + chroma @ _CHROMA), 0, 255).astype(np.uint8)
    return rgb


_TO_RGB: dict[str, Callable[[_Cells], Picture]] = {
    "YBR_FULL": _full,
    "YBR_FULL_422": _full,
    "YBR_PARTIAL_422": _partial,
}
