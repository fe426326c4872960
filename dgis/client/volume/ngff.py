"""A volume as Zarr, axes and scale named as OME-NGFF 0.5 names them."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr

from dgis.client.volume.described import described, repetition_seconds
from dgis.client.volume.values import Volume

_SPACE, _SECOND = "millimeter", "second"
_PLANE = 2  # a chunk is one slice


def save(volume: Volume, path: Path) -> None:
    """Write one array "0" in a group: [time,] [channel,] z, y, x, a chunk a slice; the geometry in "dgis"."""
    voxels = np.moveaxis(volume.array, -1, -4) if volume.colour else volume.array
    axes = _axes(volume)
    group = zarr.create_group(path, zarr_format=3, overwrite=True)
    array = group.create_array(
        "0",
        shape=voxels.shape,
        dtype=voxels.dtype,
        chunks=(*(1 for _ in voxels.shape[:-_PLANE]), *voxels.shape[-_PLANE:]),
        dimension_names=[axis["name"] for axis in axes],
    )
    array[...] = voxels
    spacing = volume.spacing if volume.affine is not None else (1.0, 1.0, 1.0)
    leading = [1.0] * (voxels.ndim - len(spacing))
    if volume.axis is not None:
        leading[0] = repetition_seconds(volume) or 1.0
    transformations = [{"type": "scale", "scale": [*leading, *spacing]}]
    datasets = [{"path": "0", "coordinateTransformations": transformations}]
    ome: dict[str, Any] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    group.attrs.put({"ome": ome, "dgis": dict(described(volume))})


def _axes(volume: Volume) -> list[dict[str, str]]:
    length = {"unit": _SPACE} if volume.affine is not None else {}
    axes = [{"name": name, "type": "space", **length} for name in "zyx"]
    if volume.colour:
        axes.insert(0, {"name": "c", "type": "channel"})
    if volume.axis is not None:
        is_time = volume.axis.name in {"time", "repeat"}
        axes.insert(0, {"name": "t", "type": "time", "unit": _SECOND} if is_time else {"name": "b"})
    return axes
