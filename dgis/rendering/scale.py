"""Regions, mirrors and sizes: pure functions over pictures of shape (rows, columns[, 3]) and 8 bits."""

import math

import numpy as np
from numpy.typing import NDArray

from dgis.rendering.errors import NoPictureError
from dgis.rendering.view import MOST_PIXELS_A_SIDE, Region, View

Picture = NDArray[np.uint8]

_BLOCK = 128


def framed(picture: Picture, view: View, aspect: float) -> Picture:
    """Return the region asked for, mirrored and scaled to fit the view (PS3.18 8.3.5.1.3).

    `aspect` is the height of a source pixel over its width.

    Raises:
        NoPictureError: the region lies outside the image.
    """
    cut = _cut(picture, view.region)
    rows, columns = size_of(cut.shape[0], cut.shape[1], aspect, view)
    if view.flip_across:
        cut = cut[:, ::-1]
    if view.flip_down:
        cut = cut[::-1]
    return np.ascontiguousarray(_resized(_resized(cut, rows, 0), columns, 1))


def size_of(rows: int, columns: int, aspect: float, view: View) -> tuple[int, int]:
    """Return rows and columns of the picture: as large as fits, pixels square, never distorted."""
    high, wide = float(rows), float(columns)
    if aspect > 1.0:
        high *= aspect
    else:
        wide /= aspect
    bound_wide = view.columns if view.columns is not None else math.inf
    bound_high = view.rows if view.rows is not None else math.inf
    factor = min(bound_wide / wide, bound_high / high)
    if not math.isfinite(factor):
        factor = 1.0
    factor = min(factor, MOST_PIXELS_A_SIDE / wide, MOST_PIXELS_A_SIDE / high)
    return max(round(high * factor), 1), max(round(wide * factor), 1)


def _cut(picture: Picture, region: Region) -> Picture:
    rows, columns = picture.shape[:2]
    top, bottom = _span(region.top, region.height, rows)
    left, right = _span(region.left, region.width, columns)
    if top >= bottom or left >= right:
        raise NoPictureError("the region lies outside the image")
    return picture[top:bottom, left:right]


def _span(start: float, size: float | None, most: int) -> tuple[int, int]:
    first = max(math.floor(start), 0)
    last = most if size is None else min(math.ceil(start + size), most)
    return first, last


def _resized(picture: Picture, size: int, axis: int) -> Picture:
    """Scale one axis: the mean of what a pixel covers where it shrinks, a line between two where it grows."""
    had = picture.shape[axis]
    if size == had:
        return picture
    along = np.moveaxis(picture, axis, 0)
    made = np.empty((size, *along.shape[1:]), np.uint8)
    scaled = _mean if size < had else _between
    # In stripes, because sums need more room than pixels.
    for start in range(0, along.shape[1], _BLOCK):
        stripe = along[:, start : start + _BLOCK].astype(np.float64)
        made[:, start : start + _BLOCK] = np.rint(scaled(stripe, size))
    return np.moveaxis(made, 0, axis)


def _mean(stripe: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    had = stripe.shape[0]
    sums = np.concatenate([np.zeros((1, *stripe.shape[1:])), np.cumsum(stripe, axis=0)])
    edges = np.arange(size + 1) * (had / size)
    whole = np.minimum(edges.astype(np.intp), had - 1)
    part = (edges - whole).reshape(-1, *[1] * (stripe.ndim - 1))
    upto = sums[whole] + (sums[whole + 1] - sums[whole]) * part
    mean: NDArray[np.float64] = np.diff(upto, axis=0) * (size / had)
    return mean


def _between(stripe: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    had = stripe.shape[0]
    places = np.clip((np.arange(size) + 0.5) * (had / size) - 0.5, 0, had - 1)
    low = np.minimum(places.astype(np.intp), max(had - 2, 0))
    high = np.minimum(low + 1, had - 1)
    part = (places - low).reshape(-1, *[1] * (stripe.ndim - 1))
    line: NDArray[np.float64] = stripe[low] * (1.0 - part) + stripe[high] * part
    return line
