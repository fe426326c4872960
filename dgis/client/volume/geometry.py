"""Slices in order, the affine over them, and what is odd about their spacing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dgis.client.volume.values import Plane, Vector

# Positions are decimal strings, and tables move in steps: so much of the spacing may a slice be off.
_OFF = 0.05
_SAME_MM = 0.01  # nearer than this, two frames lie in one place
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Geometry:
    """The affine (LPS), whether slices lie where it says, and what is odd, in words."""

    affine: Vector
    regular: bool
    problems: tuple[str, ...]


def places(planes: Sequence[Plane]) -> list[int]:
    """Return for each of parallel planes which slice it is, counted along the normal from 0."""
    normal = planes[0].normal
    depths = np.array([plane.position @ normal for plane in planes])
    order = np.argsort(depths, kind="stable")
    steps = np.diff(depths[order]) > _SAME_MM
    found = np.empty(len(planes), int)
    found[order] = np.concatenate([[0], np.cumsum(steps)])
    return [int(each) for each in found]


def geometry(planes: Sequence[Plane]) -> Geometry:
    """Return the geometry of one volume's slices, in ascending order along the normal."""
    first = planes[0]
    affine = np.eye(4)
    affine[:3, 0] = first.along_row * first.spacing[1]
    affine[:3, 1] = first.along_column * first.spacing[0]
    affine[:3, 3] = first.position
    if len(planes) == 1:
        affine[:3, 2] = first.normal * (first.depth or 1.0)
        said = () if first.depth else ("one slice whose thickness nothing says: 1 mm is taken",)
        return Geometry(affine, regular=True, problems=said)
    positions = np.array([plane.position for plane in planes])
    gaps = np.diff(positions @ first.normal)
    usual = float(np.median(gaps))
    whole = (positions[-1] - positions[0]) / (len(planes) - 1)
    even = positions[0] + np.arange(len(planes))[:, np.newaxis] * whole
    if np.linalg.norm(positions - even, axis=1).max() <= max(_OFF * usual, _SAME_MM):
        affine[:3, 2] = whole
        return Geometry(affine, regular=True, problems=())
    shifts = np.diff(positions, axis=0)
    affine[:3, 2] = shifts[int(np.argmin(np.abs(gaps - usual)))]
    return Geometry(affine, regular=False, problems=tuple(_words(gaps, usual)))


def _words(gaps: Vector, usual: float) -> list[str]:
    missing: list[str] = []
    uneven: list[str] = []
    for number, gap in enumerate(gaps):
        times = gap / usual
        if abs(times - round(times)) <= 2 * _OFF and round(times) > 1:
            count = round(times) - 1
            missing.append(f"{count} after slice {number}")
        elif abs(times - 1) > 2 * _OFF:
            uneven.append(f"{gap:.2f} mm after slice {number}")
    said = []
    if missing:
        said.append(f"slices are missing: {_listed(missing)} (counted from 0, {usual:.2f} mm apart)")
    if uneven:
        said.append(f"uneven spacing: {_listed(uneven)}, elsewhere {usual:.2f} mm")
    return said or [f"slices do not lie on a line, or drift from {usual:.2f} mm"]


def _listed(words: list[str]) -> str:
    rest = len(words) - _LISTED
    return ", ".join(words[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
