"""Colours to RGB of 8 bits (PS3.3 C.7.6.3.1.2)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgis.rendering.errors import NoPictureError
from dgis.rendering.lookup import Table

Picture = NDArray[np.uint8]

_BYTE_BITS, _COLOURS = 8, 3
_WHITE = 255.0
# What Cb and Cr add to red, green and blue; in partial range all is stretched before.
_CHROMA = np.array([[0.0, -0.344136, 1.772], [1.402, -0.714136, 0.0]], np.float32)
_GREY_CHROMA = 128.0
_PARTIAL_BLACK, _PARTIAL_LUMINANCE, _PARTIAL_CHROMA = 16.0, 219.0, 224.0
_BLOCK_ROWS = 256


def from_palette(indices: NDArray[Any], planes: Sequence[Table]) -> Picture:
    """Look a frame of indices up in its palette."""
    return np.stack([_plane(indices, each) for each in planes], axis=-1)


def from_samples(values: NDArray[Any], bits_stored: int, photometric: str) -> Picture:
    """Return a frame of three samples a pixel, shape (rows, columns, 3), as RGB.

    Raises:
        NoPictureError: a photometric interpretation that is not known here.
    """
    convert = _TO_RGB.get(photometric)
    if values.ndim != _COLOURS or values.shape[-1] != _COLOURS or convert is None:
        raise NoPictureError(
            f"pixels of {values.shape[-1]} samples in a photometric interpretation not known"
        )
    if bits_stored > _BYTE_BITS:
        values = values >> (bits_stored - _BYTE_BITS)
    rows = values.shape[0]
    if convert is _plain:
        return np.ascontiguousarray(values.astype(np.uint8))
    blocks = [convert(values[start : start + _BLOCK_ROWS]) for start in range(0, rows, _BLOCK_ROWS)]
    return np.concatenate(blocks)


def _plane(indices: NDArray[Any], table: Table) -> Picture:
    values = table.values >> (table.bits - _BYTE_BITS) if table.bits > _BYTE_BITS else table.values
    places = np.clip(indices.astype(np.int64) - table.first, 0, values.size - 1)
    return values.astype(np.uint8)[places]


def _plain(image: NDArray[Any]) -> Picture:
    return image.astype(np.uint8)


def _full(image: NDArray[Any]) -> Picture:
    values = image.astype(np.float32)
    return _rgb(values[..., :1], values[..., 1:] - _GREY_CHROMA)


def _partial(image: NDArray[Any]) -> Picture:
    values = image.astype(np.float32)
    luminance = (values[..., :1] - _PARTIAL_BLACK) * (_WHITE / _PARTIAL_LUMINANCE)
    return _rgb(luminance, (values[..., 1:] - _GREY_CHROMA) * (_WHITE / _PARTIAL_CHROMA))


def _rgb(luminance: NDArray[np.float32], chroma: NDArray[np.float32]) -> Picture:
    rgb: Picture = np.clip(np.rint(luminance + chroma @ _CHROMA), 0, 255).astype(np.uint8)
    return rgb


_TO_RGB: dict[str, Callable[[NDArray[Any]], Picture]] = {
    "RGB": _plain,
    "YBR_FULL": _full,
    "YBR_FULL_422": _full,
    "YBR_PARTIAL_422": _partial,
}
