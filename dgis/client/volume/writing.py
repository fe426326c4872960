"""A volume as a file: NIfTI, NumPy or Zarr, with its geometry as JSON beside the voxels."""

import json
import shutil
from collections.abc import Mapping
from enum import StrEnum
from importlib import import_module
from pathlib import Path

from dgis.client.volume.described import described
from dgis.client.volume.values import Volume, VolumeError


class Form(StrEnum):
    """What a volume may be written as."""

    NIFTI = "nifti"
    NUMPY = "numpy"
    ZARR = "zarr"


# Suffix, and the module that writes it: each needs another library of the extra `client`.
_WRITERS: Mapping[Form, tuple[str, str]] = {
    Form.NIFTI: (".nii.gz", "dgis.client.volume.nifti"),
    Form.NUMPY: (".npy", "dgis.client.volume.npy"),
    Form.ZARR: (".zarr", "dgis.client.volume.ngff"),
}
_SUFFIXES = {".nii.gz": Form.NIFTI, ".nii": Form.NIFTI, ".npy": Form.NUMPY, ".zarr": Form.ZARR}


def write_as(volume: Volume, path: Path) -> tuple[Path, Path]:
    """Write a volume as what its name ends in.

    Raises:
        VolumeError: that is no form of volumes, or it cannot hold it.
        OSError: it cannot be written.
    """
    for suffix, form in _SUFFIXES.items():
        if path.name.endswith(suffix) and path.name != suffix:
            return write(volume, path.parent, path.name.removesuffix(suffix), form, suffix)
    raise VolumeError(f"a volume is written as one of {', '.join(_SUFFIXES)}")


def write(
    volume: Volume, folder: Path, name: str, form: Form, suffix: str | None = None
) -> tuple[Path, Path]:
    """Write a volume under a name without suffix; the file of voxels first, then the JSON of its geometry.

    Each is written aside and takes its name when it is whole; of the same name, the old one goes.

    Raises:
        VolumeError: the form cannot hold it.
        OSError: it cannot be written.
    """
    usual, module = _WRITERS[form]
    suffix = suffix or usual
    try:
        save = import_module(module).save
    except ModuleNotFoundError as error:
        raise VolumeError(f"{form.value} needs {error.name}: pip install 'dgis[client]'") from error
    folder.mkdir(parents=True, exist_ok=True)
    target, beside = folder / f"{name}{suffix}", folder / f"{name}.json"
    aside = folder / f".{name}.part{suffix}"
    try:
        save(volume, aside)
        if target.is_dir():
            shutil.rmtree(target)
        aside.replace(target)
    finally:
        _remove(aside)
    text = folder / f".{name}.part.json"
    text.write_text(json.dumps(described(volume), indent=1) + "\n")
    text.replace(beside)
    return target, beside


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
