"""Siemens mosaics: the slices of a volume as tiles of one picture."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset

from deid.csa import csa_texts
from dgis.client.volume.values import Plane

_HEADER = "SIEMENS MR HEADER"
_CSA = "SIEMENS CSA HEADER"


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles of a mosaic: (rows, columns) of one, where each begins in the picture and lies in space."""

    shape: tuple[int, int]
    windows: tuple[tuple[int, int], ...]
    planes: tuple[Plane, ...]


def is_mosaic(dataset: Dataset) -> bool:
    """Whether the image type says that the picture is made of tiles."""
    return "MOSAIC" in (dataset.get("ImageType") or ())


def tiles(dataset: Dataset) -> Tiles | None:
    """Return the tiles; None of other images, and where the number of tiles or their direction went.

    The position in the header is where the first pixel would lie were the whole picture one slice around
    the same centre; slices lie along the normal of the CSA header, first tile first.
    """
    if not is_mosaic(dataset):
        return None
    texts = csa_texts(bytes(_private(dataset, 0x0029, 0x10, _CSA) or b""))
    said = texts.get("NumberOfImagesInMosaic") or (_private(dataset, 0x0019, 0x0A, _HEADER),)
    normal = np.array([float(part) for part in texts.get("SliceNormalVector", ())])
    depth = float(dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness") or 0)
    if said[0] is None or len(normal) != 3 or depth <= 0:  # noqa: PLR2004 (a vector in space)
        return None
    count = int(said[0])
    side = math.ceil(math.sqrt(count))
    if count < 1 or dataset.Rows % side or dataset.Columns % side:
        return None
    rows, columns = dataset.Rows // side, dataset.Columns // side
    try:
        axes = np.array([float(part) for part in dataset.ImageOrientationPatient]).reshape(2, 3)
        position = np.array([float(part) for part in dataset.ImagePositionPatient])
        between_rows, between_columns = (float(part) for part in dataset.PixelSpacing)
    except (AttributeError, TypeError, ValueError):
        return None
    first = (
        position
        + axes[0] * between_columns * (dataset.Columns - columns) / 2
        + axes[1] * between_rows * (dataset.Rows - rows) / 2
    )
    return Tiles(
        (rows, columns),
        tuple((at // side * rows, at % side * columns) for at in range(count)),
        tuple(
            Plane(first + normal * depth * at, axes[0], axes[1], (between_rows, between_columns), depth)
            for at in range(count)
        ),
    )


def _private(dataset: Dataset, group: int, element: int, creator: str) -> Any:  # noqa: ANN401 (any value)
    try:
        return dataset.get_private_item(group, element, creator).value
    except KeyError:
        return None
