"""HTJ2K by way of imagecodecs (OpenJPH), with its traps closed.

The traps, each measured: big-endian arrays are encoded swapped, three axes other than (rows, columns, 3)
in the wrong order, both without a word; `decode` returns wrong pixels for damaged input, so it is only called
on bytes whose SHA-256 matched.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from storage_nodes.record.codecs.library import imagecodecs
from storage_nodes.record.errors import DamagedRecordError
from storage_nodes.record.limits import MOST_HTJ2K_FRAME_BYTES
from storage_nodes.record.values import Buffer, FrameLayout

Pixels = NDArray[Any]

_SAMPLES_AND_BITS: Final = frozenset((samples, bits) for samples in (1, 3) for bits in (8, 16))
_PHOTOMETRICS: Final = {
    1: frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"}),
    3: frozenset({"RGB", "YBR_FULL"}),
}
"""By samples: what an HTJ2K data set may say too (DICOM PS3.5 8.2.17; RGB becomes YBR_RCT).

Only monochrome frames may be signed."""

_SMALL_PIXELS: Final = 64
_SMALL_LEVELS: Final = 3
_DEFAULT_LEVELS: Final = 5
_RPCL_FROM_PIXELS: Final = 256
_RPCL_LOWEST_PIXELS: Final = 64
"""DICOM PS3.5 10.18: the lowest resolution is at most 64 x 64."""

_SOC: Final = b"\xff\x4f"
_SIZ: Final = b"\xff\x51"
_COM: Final = 0xFF64
_SOT: Final = 0xFF90


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a frame is encoded: a pure function of its layout."""

    levels: int
    rpcl: bool
    colour_transform: bool


def encoding_for(layout: FrameLayout, length: int) -> Encoding | None:
    """Choose how to encode a frame of this many bytes; None where HTJ2K is not for it (FORMAT.md)."""
    if (layout.samples, layout.bits_allocated) not in _SAMPLES_AND_BITS:
        return None
    if layout.photometric.startswith("YBR_") and layout.photometric.endswith(("_422", "_420")):
        return None
    if length * 8 != layout.frame_bits or not 0 < length <= MOST_HTJ2K_FRAME_BYTES:
        return None
    longest = max(layout.rows, layout.columns)
    levels = _SMALL_LEVELS if longest <= _SMALL_PIXELS else _DEFAULT_LEVELS
    rpcl = longest >= _RPCL_FROM_PIXELS
    if rpcl:
        levels = max(levels, math.ceil(math.log2(longest / _RPCL_LOWEST_PIXELS)))
    return Encoding(levels, rpcl, layout.samples == 3 and layout.photometric == "RGB")  # noqa: PLR2004 - colours


def pixels(frame: Buffer, layout: FrameLayout) -> Pixels:
    """View a native frame as (rows, columns) or (rows, columns, 3); planes are copied together."""
    flat = np.frombuffer(frame, _dtype(layout))
    if layout.samples == 1:
        return flat.reshape(layout.rows, layout.columns)
    if layout.planar == 1:
        planes = flat.reshape(layout.samples, layout.rows, layout.columns)
        return np.ascontiguousarray(np.moveaxis(planes, 0, 2))
    return flat.reshape(layout.rows, layout.columns, layout.samples)


def encode(image: Pixels, encoding: Encoding) -> bytes:
    """Encode (rows, columns) or (rows, columns, 3) without loss; the caller decodes and compares.

    Raises:
        RuntimeError: the codec failed.
    """
    colour: dict[str, bool] = {"rgb": encoding.colour_transform, "planar": False} if image.ndim > 2 else {}  # noqa: PLR2004 - axes
    codestream = _htj2k_encode(
        image, resolutions=encoding.levels, reversible=True, tlm=encoding.rpcl, **colour
    )
    return _without_comments(bytes(codestream))


def decode(codestream: Buffer, layout: FrameLayout, out: Pixels | None = None) -> Pixels:
    """Decode a codestream whose SHA-256 matched to (rows, columns) or (rows, columns, 3).

    Raises:
        DamagedRecordError: it is of another size, depth or number of components than `layout`.
        RuntimeError: the codec failed.
    """
    check_stated_size(codestream, layout)
    image: Pixels = _htj2k_decode(codestream, planar=False, out=out)
    expected = (layout.rows, layout.columns) + ((layout.samples,) if layout.samples > 1 else ())
    if image.shape != expected or image.dtype != _dtype(layout):
        raise DamagedRecordError("a codestream decodes to another shape or type than its index says")
    return image


def _htj2k_encode(*given: Any, **options: Any) -> Any:  # noqa: ANN401 - the stub does not take any buffer
    return imagecodecs().htj2k_encode(*given, **options)


def _htj2k_decode(*given: Any, **options: Any) -> Any:  # noqa: ANN401 - likewise
    return imagecodecs().htj2k_decode(*given, **options)


def native(image: Pixels, layout: FrameLayout) -> memoryview:
    """Give a decoded image as the native frame it was, plane by plane where the layout says so."""
    if layout.samples > 1 and layout.planar == 1:
        image = np.moveaxis(image, 2, 0)
    return np.ascontiguousarray(image).reshape(-1).view(np.uint8).data


def is_servable(image: Pixels, layout: FrameLayout) -> bool:
    """Say whether a data set with this header may carry the codestream: what it decodes to is what it says.

    A viewer may mask or sign-extend by BitsStored, so nothing may lie outside it.
    """
    if layout.photometric not in _PHOTOMETRICS[layout.samples]:
        return False
    if layout.signed and not layout.photometric.startswith("MONOCHROME"):
        return False
    stored = layout.bits_stored
    if not 0 < stored <= layout.bits_allocated or layout.high_bit != stored - 1:
        return False
    if stored == layout.bits_allocated:
        return True
    if layout.signed:
        half = 1 << (stored - 1)
        return bool(image.min() >= -half and image.max() < half)
    return int(image.max()) < 1 << stored


def check_stated_size(codestream: Buffer, layout: FrameLayout) -> None:
    """Compare the SIZ segment (ITU-T T.800 A.5.1) with the layout, before the codec allocates what it states.

    Raises:
        DamagedRecordError: no SIZ segment in its place, or another size, depth or number of components.
    """
    head = bytes(codestream[: 42 + 3 * layout.samples])
    precision = (layout.bits_allocated - 1) | (0x80 if layout.signed else 0)
    origin = bytes(8)
    size = layout.columns.to_bytes(4, "big") + layout.rows.to_bytes(4, "big")
    component = bytes((precision, 1, 1))
    stated = size + origin + size + origin + layout.samples.to_bytes(2, "big") + component * layout.samples
    if head[:4] != _SOC + _SIZ or head[8:] != stated:
        raise DamagedRecordError("a codestream states another size or depth than its index says")


def _without_comments(codestream: bytes) -> bytes:
    """Drop COM segments of the main header (ITU-T T.800 A.9.2): 25 bytes a frame that name the codec."""
    kept = [codestream[:2]]
    position = 2
    while (marker := int.from_bytes(codestream[position : position + 2], "big")) != _SOT:
        end = position + 2 + int.from_bytes(codestream[position + 2 : position + 4], "big")
        if end <= position + 2 or end > len(codestream):
            return codestream
        if marker != _COM:
            kept.append(codestream[position:end])
        position = end
    return b"".join((*kept, codestream[position:]))


def _dtype(layout: FrameLayout) -> np.dtype[Any]:
    return np.dtype(f"<{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}")
