"""What is written is read back the same by other people's readers, and takes its name when it is whole."""

import json

import nibabel
import numpy as np
import pytest
import zarr

from dgis.client.volume.reading import read_volumes
from dgis.client.volume.values import VolumeError
from dgis.client.volume.writing import Form, write
from tests.unit.dgis.client.build import image, slices


@pytest.fixture
def volume():
    given = []
    for time in range(3):
        given += slices(
            [0, 5],
            Modality="MR",
            RepetitionTime=2500,
            TemporalPositionIdentifier=time + 1,
            RescaleSlope=1.5 + time,
        )
    (found,) = read_volumes(given).volumes
    return found


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_nifti(tmp_path, volume, name):
    volume.save(tmp_path / name)
    read = nibabel.load(tmp_path / name)
    assert read.shape == (5, 4, 2, 3)
    assert (volume.array == read.get_fdata().T).all()
    assert np.allclose(read.get_sform(), volume.affine_ras)
    assert np.allclose(read.get_qform(), volume.affine_ras)
    assert read.header.get_xyzt_units() == ("mm", "sec")
    assert read.header["pixdim"][4] == 2.5
    assert (tmp_path / "x.json").is_file()


def test_numpy_and_the_geometry_beside_it(tmp_path, volume):
    voxels, beside = write(volume, tmp_path, "x", Form.NUMPY)
    assert (np.load(voxels) == volume.array).all()
    said = json.loads(beside.read_text())
    assert said["affine_lps"] == volume.affine.tolist()
    assert said["axes"] == ["repeat", "slice", "row", "column"]
    assert said["spacing"] == [5.0, 2.0, 3.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.npy"]


def test_zarr(tmp_path, volume):
    volume.save(tmp_path / "x.zarr")
    group = zarr.open_group(tmp_path / "x.zarr", mode="r")
    assert (group["0"][:] == volume.array).all()
    (scales,) = group.attrs["ome"]["multiscales"]
    assert [axis["name"] for axis in scales["axes"]] == ["t", "z", "y", "x"]
    assert scales["datasets"][0]["coordinateTransformations"] == [
        {"type": "scale", "scale": [2.5, 5.0, 2.0, 3.0]}
    ]
    assert group.attrs["dgis"]["affine_ras"] == volume.affine_ras.tolist()


def test_writing_again_takes_the_place_of_the_old(tmp_path, volume):
    for _ in range(2):
        for form in Form:
            write(volume, tmp_path, "x", form)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.nii.gz", "x.npy", "x.zarr"]


def test_colours(tmp_path):
    picture = next(iter(slices([0], SliceThickness=2, kind="u1")))
    colours = np.random.default_rng(5).integers(0, 255, (4, 5, 3), np.uint8)
    picture.SamplesPerPixel, picture.PhotometricInterpretation, picture.PlanarConfiguration = 3, "RGB", 0
    picture.PixelData = colours.tobytes()
    (volume,) = read_volumes([picture]).volumes
    volume.save(tmp_path / "x.nii")
    voxels = np.asarray(nibabel.load(tmp_path / "x.nii").dataobj)
    assert (colours[..., 1] == voxels["G"][:, :, 0].T).all()
    volume.save(tmp_path / "x.zarr")
    assert (zarr.open_group(tmp_path / "x.zarr", mode="r")["0"][2, 0] == colours[..., 2]).all()


def test_what_has_no_place_is_no_nifti_but_an_array(tmp_path):
    (volume,) = read_volumes([image(np.zeros((2, 3), "u1"))]).volumes
    with pytest.raises(VolumeError, match="nothing of their place"):
        volume.save(tmp_path / "x.nii")
    assert list(tmp_path.iterdir()) == []
    volume.save(tmp_path / "x.npy")


def test_another_suffix_is_refused_in_words(tmp_path, volume):
    with pytest.raises(VolumeError, match=r"\.nii\.gz"):
        volume.save(tmp_path / "x.png")
