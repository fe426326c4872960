"""A volume as a NumPy array file."""

from pathlib import Path

import numpy as np

from dgis.client.volume.values import Volume


def save(volume: Volume, path: Path) -> None:
    """Write the voxels alone."""
    with path.open("wb") as file:
        np.save(file, volume.array)
