"""What a volume is, and the frames it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Voxels = NDArray[Any]

_TO_RAS = np.diag(
    [-1.0, -1.0, 1.0, 1.0]
)  # DICOM's x grows to the left, its y to the back (PS3.3 C.7.6.2.1.1)


class VolumeError(Exception):
    """No volume can be made, or not written in that form; the words say why and what to do."""


class NoImageError(VolumeError):
    """Nothing there is an image: reports, structures, waveforms."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Where a frame lies in the patient (PS3.3 C.7.6.2); millimetres, LPS.

    `position` is the centre of the first pixel; `along_row` and `along_column` are unit vectors, `spacing`
    the distance of (rows, columns). `depth` is the nominal distance of slices, 0 where nothing says it.
    """

    position: Vector
    along_row: Vector
    along_column: Vector
    spacing: tuple[float, float]
    depth: float

    @property
    def normal(self) -> Vector:
        """Where the next slice lies."""
        return np.cross(self.along_row, self.along_column)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of one instance, its pixels not read yet.

    Args:
        instance: which of the instances given.
        number: which of its frames, from 0.
        window: (first row, first column) of a tile in a mosaic; None: the frame is all of it.
        shape: (rows, columns).
        plane: None where the object has no place in a patient.
        scale: slope and intercept.
        units: of values after both; empty where nothing says it.
        kind: what a voxel of it means, as far as the header tells it apart: image type, segment.
        said: what orders frames of one place, by keyword.
    """

    instance: int
    number: int
    shape: tuple[int, int]
    plane: Plane | None
    scale: tuple[float, float]
    units: str
    kind: tuple[str, ...]
    said: Mapping[str, float]
    window: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """The fourth dimension: its name, and a value for each volume ("time": seconds from the first)."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """Voxels in real units with their place in the patient.

    `array` is (slices, rows, columns), with a leading axis where `axis` is not None, and a last one of three
    where `colour`; frames without geometry are (frames, rows, columns). Slices ascend along the normal.
    `affine` takes (column, row, slice, 1) to millimetres, LPS as ITK has them; None without geometry.
    `problems` tells what is odd in words; `regular` is False where slices miss or are unevenly spaced: then
    `positions` (millimetres, LPS, one a slice) are right and the affine is not.
    """

    array: Voxels
    affine: Vector | None
    positions: Vector | None
    axis: Axis | None = None
    colour: bool = False
    units: str = ""
    problems: tuple[str, ...] = ()
    regular: bool = True
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def affine_ras(self) -> Vector:
        """The affine of nibabel and NIfTI: (column, row, slice, 1) to millimetres, RAS.

        Raises:
            VolumeError: there is no geometry.
        """
        return np.asarray(_TO_RAS @ self.place())

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between (slices, rows, columns), in the order of the array.

        Raises:
            VolumeError: there is no geometry.
        """
        lengths = np.linalg.norm(self.place()[:3, :3], axis=0)
        return float(lengths[2]), float(lengths[1]), float(lengths[0])

    @property
    def origin(self) -> tuple[float, float, float]:
        """Where the first voxel's centre lies (millimetres, LPS; `SetOrigin` of ITK).

        Raises:
            VolumeError: there is no geometry.
        """
        x, y, z = self.place()[:3, 3]
        return float(x), float(y), float(z)

    @property
    def direction(self) -> Vector:
        """(3, 3): unit vectors of columns, rows and slices, one a column (`SetDirection` of ITK, row by row).

        Raises:
            VolumeError: there is no geometry.
        """
        matrix = self.place()[:3, :3]
        return np.asarray(matrix / np.linalg.norm(matrix, axis=0))

    def place(self) -> Vector:
        """Return the affine (LPS).

        Raises:
            VolumeError: there is none.
        """
        if self.affine is None:
            raise VolumeError("these images say nothing of their place in a patient; only .array is there")
        return self.affine

    def save(self, path: str | Path) -> None:
        """Write it as what the name ends in: .nii or .nii.gz, .npy, .zarr; its geometry as JSON beside it.

        Raises:
            VolumeError: it ends otherwise, or that form cannot hold it.
        """
        import_module("dgis.client.volume.writing").write_as(self, Path(path))
