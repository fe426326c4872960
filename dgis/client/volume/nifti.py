"""A volume as NIfTI-1."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from dgis.client.volume.described import repetition_seconds
from dgis.client.volume.values import Volume, VolumeError, Voxels

_SCANNER = 1  # NIFTI_XFORM_SCANNER_ANAT
_RGB24 = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
_image: Callable[..., Any] = nibabel.Nifti1Image


def to_nifti(volume: Volume) -> Any:  # noqa: ANN401 (nibabel.Nifti1Image, which has no types)
    """Return a NIfTI-1 image: (columns, rows, slices[, volumes]), RAS, millimetres and seconds.

    Raises:
        VolumeError: there is no geometry, or the voxels are of a type that NIfTI has not.
    """
    affine = volume.affine_ras
    voxels = _transposed(volume)
    if volume.colour:
        if voxels.dtype != np.uint8:
            raise VolumeError("NIfTI has colours of 8 bits only; write numpy or zarr")
        voxels = np.ascontiguousarray(voxels).view(_RGB24)[..., 0]
    image = _image(voxels, affine)
    image.set_qform(affine, _SCANNER)
    image.set_sform(affine, _SCANNER)
    image.header.set_xyzt_units("mm", "sec")
    if volume.axis is not None:
        image.header["pixdim"][4] = repetition_seconds(volume)
    return image


def _transposed(volume: Volume) -> Voxels:
    """(volumes, slices, rows, columns, colours) as NIfTI has them: the fastest first, colours last."""
    array = volume.array
    spatial = array.ndim - (1 if volume.colour else 0)
    order = [*reversed(range(spatial)), *range(spatial, array.ndim)]
    return array.transpose(order)


def save(volume: Volume, path: Path) -> None:
    """Write a NIfTI-1 file, compressed where its name ends so."""
    nibabel.save(to_nifti(volume), path)
