"""Grey levels to the 256 of a picture: modality LUT, values of interest, polarity (PS3.4 N.2, PS3.3 C.11)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgis.rendering.described import Grey, Layout
from dgis.rendering.view import Function, Window

_WHITE = 255.0
_BYTE_BITS = 8
_TABLE_BITS = 16  # up to so many, each level is worked out once instead of each pixel
_BLOCK_PIXELS = 1 << 20

Values = NDArray[Any]
_Floats = NDArray[np.floating[Any]]
_Stage = Callable[[_Floats], _Floats]


def picture_of(values: Values, grey: Grey, layout: Layout, window: Window | None) -> NDArray[np.uint8]:
    """Return grey levels of 8 bits, 0 black, in the shape of `values`.

    `window` goes before what the image says of itself; that is its window, then its VOI LUT. An image
    that says nothing is shown from its lowest to its highest value; one of 8 bits or fewer without a
    modality LUT was made for display, and is shown as it is.
    """
    shown = _of_interest(values, grey, layout, window)
    inverted = layout.photometric == "MONOCHROME1"

    def level(stored: _Floats) -> NDArray[np.uint8]:
        lit = np.clip(shown(_modality(stored, grey)), 0.0, _WHITE)
        whole: NDArray[np.uint8] = np.rint(np.nan_to_num(_WHITE - lit if inverted else lit)).astype(np.uint8)
        return whole

    if np.issubdtype(values.dtype, np.integer) and layout.bits_stored <= _TABLE_BITS:
        lowest = -(1 << layout.bits_stored - 1) if layout.signed else 0
        table: NDArray[np.uint8] = level(
            np.arange(lowest, lowest + (1 << layout.bits_stored), dtype=np.float64)
        )
        lit: NDArray[np.uint8] = table[values.astype(np.int32) - lowest]
        return lit
    flat = np.ascontiguousarray(values).reshape(-1)
    made = np.empty(flat.size, np.uint8)
    for start in range(0, flat.size, _BLOCK_PIXELS):
        block = flat[start : start + _BLOCK_PIXELS].astype(np.float64)
        made[start : start + _BLOCK_PIXELS] = level(block)
    return made.reshape(values.shape)


def windowed(values: _Floats, window: Window) -> _Floats:
    """Apply a window (PS3.3 C.11.2.1.2.1, C.11.2.1.3.1, C.11.2.1.3.2); 0 to 255, not rounded."""
    center, width = window.center, window.width
    lit: _Floats
    if window.function is Function.SIGMOID:
        # Beyond 700 the exponential leaves what a double holds, and the picture is black long before.
        lit = _WHITE / (1.0 + np.exp(np.minimum(-4.0 * (values - center) / width, 700.0)))
        return lit
    if window.function is Function.LINEAR_EXACT:
        lit = np.clip(((values - center) / width + 0.5) * _WHITE, 0.0, _WHITE)
        return lit
    center, width = center - 0.5, width - 1.0
    if not width:
        return np.where(values <= center, 0.0, _WHITE)
    lit = np.clip(((values - center) / width + 0.5) * _WHITE, 0.0, _WHITE)
    return lit


def _modality(stored: _Floats, grey: Grey) -> _Floats:
    if grey.modality is not None:
        return grey.modality.look_up(stored).astype(np.float64)
    return stored * grey.slope + grey.intercept


def _of_interest(values: Values, grey: Grey, layout: Layout, asked: Window | None) -> _Stage:
    window = asked or grey.window
    if window is not None:
        return lambda level: windowed(level, window)
    voi = grey.voi
    if voi is not None:
        return lambda level: voi.look_up(level) * (_WHITE / voi.most)
    plain = grey.modality is None and (grey.slope, grey.intercept) == (1.0, 0.0)
    if plain and layout.bits_stored <= _BYTE_BITS and not layout.signed:
        most = (1 << layout.bits_stored) - 1
        return lambda level: level * (_WHITE / most)
    low, high = _extent(values, grey)
    return lambda level: (level - low) * (_WHITE / max(high - low, np.finfo(np.float64).tiny))


def _extent(values: Values, grey: Grey) -> tuple[float, float]:
    """Return the lowest and highest output of the modality LUT, pixels that are no image left out."""
    image = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if grey.padding is not None and values.dtype.kind != "f":
        low, high = grey.padding
        inside = image[(image < low) | (image > high)]
        image = inside if inside.size else image
    if not image.size:
        return 0.0, 1.0
    if grey.modality is not None:
        levels = _modality(np.unique(image).astype(np.float64), grey)
    else:
        levels = _modality(np.array([image.min(), image.max()], np.float64), grey)
    return float(levels.min()), float(levels.max())
