"""A volume's geometry and meaning as plain values, for the JSON beside a file of voxels."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dgis.client.volume.values import Volume


def described(volume: Volume) -> Mapping[str, Any]:
    """Return what a reader of the voxels needs to know; lengths in millimetres, arrays as nested lists."""
    axes = ["slice", "row", "column"] if volume.affine is not None else ["frame", "row", "column"]
    said: dict[str, Any] = {
        "axes": [
            *([volume.axis.name] if volume.axis else []),
            *axes,
            *(["colour"] if volume.colour else []),
        ],
        "shape": list(volume.array.shape),
        "dtype": volume.array.dtype.name,
        "units": volume.units,
        "regular": volume.regular,
        "problems": list(volume.problems),
        "about": dict(volume.about),
    }
    if volume.axis is not None:
        said["axis"] = {"name": volume.axis.name, "values": list(volume.axis.values)}
    if volume.affine is not None and volume.positions is not None:
        said |= {
            "spacing": list(volume.spacing),
            "origin_lps": list(volume.origin),
            "direction_lps": volume.direction.tolist(),
            "affine_lps": volume.affine.tolist(),
            "affine_ras": volume.affine_ras.tolist(),
            "positions_lps": volume.positions.tolist(),
        }
    return said


def repetition_seconds(volume: Volume) -> float:
    """Return the time between volumes; 0 where the fourth dimension is no time, or nothing says it."""
    if volume.axis is None or volume.axis.name not in {"time", "repeat"}:
        return 0.0
    if volume.about.get("Modality") == "MR" and "RepetitionTime" in volume.about:
        return float(volume.about["RepetitionTime"]) / 1000
    return float(np.median(np.diff(volume.axis.values))) if volume.axis.name == "time" else 0.0
