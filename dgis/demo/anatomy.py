"""Synthetic slices that compress like real ones: smooth organs, sharp borders, scanner noise."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Organ:
    """An ellipsoid in the unit cube [-1, 1]^3 (x, y, z), and the signal of what fills it."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    value: float


@dataclass(frozen=True, slots=True)
class Scanner:
    """What one modality makes of a body: signal values in stored units."""

    rows: int
    background: float
    organs: tuple[Organ, ...]
    noise: float  # standard deviation, stored units
    lowest: int
    highest: int
    dtype: str  # of the stored pixels, little endian


_TORSO = ((0.0, 0.0, 0.0), (0.82, 0.58, 1.6))
_LUNGS = (((-0.36, -0.05, 0.1), (0.26, 0.36, 0.75)), ((0.36, -0.05, 0.1), (0.26, 0.36, 0.75)))
_HEART = ((0.1, -0.16, 0.0), (0.22, 0.2, 0.35))
_LIVER = ((-0.3, 0.05, -0.8), (0.42, 0.36, 0.4))
_SPINE = ((0.0, 0.4, 0.0), (0.1, 0.1, 2.0))
_LESION = ((0.42, 0.08, 0.25), (0.06, 0.07, 0.12))


def _organs(*values: float) -> tuple[Organ, ...]:
    shapes = (_TORSO, *_LUNGS, _HEART, _LIVER, _SPINE, _LESION)
    both_lungs = (values[0], values[1], values[1], *values[2:])
    return tuple(
        Organ(centre, radii, value) for (centre, radii), value in zip(shapes, both_lungs, strict=True)
    )


# torso, lungs, heart, liver, spine, lesion: Hounsfield units for CT, arbitrary signal for MR, counts for PET
CT = Scanner(512, -1000, _organs(40, -850, 55, 60, 700, 30), 12, -2048, 2047, "<i2")
MR = Scanner(256, 10, _organs(420, 40, 620, 350, 260, 900), 14, 0, 4095, "<u2")
PET = Scanner(128, 60, _organs(2400, 900, 6100, 5200, 3000, 19000), 160, 0, 32767, "<u2")

_EDGE = 0.03  # width of an organ's border in units of its radius: a scanner's point spread


def slices(scanner: Scanner, count: int, seed: int) -> Iterator[npt.NDArray[np.integer]]:
    """Yield `count` slices of shape (rows, rows), head to foot, the same for the same seed."""
    random = np.random.default_rng(seed)
    axis = np.linspace(-1, 1, scanner.rows, dtype=np.float32)
    y, x = axis[:, np.newaxis], axis[np.newaxis, :]
    bias = 1 + 0.03 * np.cos(2.1 * x + 0.4) * np.cos(1.7 * y - 0.2)
    for z in np.linspace(0.95, -0.95, count):
        signal = _cut(scanner, x, y, float(z)) * bias.astype(np.float32)
        signal += random.standard_normal(signal.shape, dtype=np.float32) * scanner.noise
        yield np.clip(np.rint(signal), scanner.lowest, scanner.highest).astype(scanner.dtype)


def _cut(scanner: Scanner, x: Pixels, y: Pixels, z: float) -> Pixels:
    signal = np.full((scanner.rows, scanner.rows), scanner.background, dtype=np.float32)
    for organ in scanner.organs:
        (cx, cy, cz), (rx, ry, rz) = organ.centre, organ.radii
        depth = 1 - ((z - cz) / rz) ** 2
        if depth <= 0:
            continue
        inside = depth - ((x - cx) / rx) ** 2 - ((y - cy) / ry) ** 2
        weight = np.clip(inside / _EDGE, 0, 1)
        signal += weight * (organ.value - signal)
    return signal
