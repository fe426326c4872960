"""Volumes are those of dcm2niix: shapes, affines and voxels of real series, but for what is named here.

What differs, and why (docs/client.md has it for readers):
* precise scaling of Philips is a choice of dcm2niix (`-p y`); values here are those the standard defines.
* a slope of each slice makes dcm2niix, as here, write 32-bit floats; the last bit may differ.
* RT Dose: dcm2niix reads neither its scale nor its planes' offsets.
* a tilted gantry: dcm2niix changes the in-plane axes of a single slice, which stays where it lies here.
"""

import subprocess

import nibabel
import numpy as np
import pytest

from dgis.client.volume.nifti import to_nifti
from dgis.client.volume.reading import read_volumes
from tests.corpus import corpus_files, require_corpus
from tests.needs import needs

pytestmark = [pytest.mark.corpus, needs("dcm2niix", "dcm2niix")]

SERIES = [
    *("ct_abdomen_ge", "ct_chest_philips", "mr_acr_ge_t1", "mr_acr_philips_t1", "mr_brain_bold_philips"),
    *("mr_epi_mosaic_siemens_3", "mr_epi_mosaic_siemens_4", "mr_epi_mosaic_siemens_5"),
    *("mr_epi_mosaic_siemens_6", "mr_fmri_ge", "mr_thigh_t2_siemens", "pet_wholebody_ge"),
    *("sts002_ct_cropped_ge", "sts002_mr_cropped_philips", "sts002_pet_cropped_ge"),
]
ENHANCED = ["6_*", "IM_0027_fMAP*", "eCT_Supplemental*"]
SINGLE = ["693_J2KI.dcm", "CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm"]
FLOAT32 = 2**-22  # of the value: two roundings


def theirs(folder, files):
    """What dcm2niix makes of these files."""
    for name in ("in", "out"):
        (folder / name).mkdir()
    for path in files:
        (folder / "in" / path.name).symlink_to(path)
    command = [
        "dcm2niix",
        "-b",
        "n",
        "-z",
        "n",
        "-p",
        "n",
        "-f",
        "%s_%e_%p",
        "-o",
        folder / "out",
        folder / "in",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return [nibabel.load(path) for path in sorted((folder / "out").glob("*.nii"))]


def differences(one, other):
    """What differs between two images once both lie along the same axes."""
    one, other = (nibabel.as_closest_canonical(each) for each in (one, other))
    if one.shape != other.shape:
        return [f"shapes {one.shape} and {other.shape}"]
    voxels, others = one.get_fdata(), other.get_fdata()
    found = []
    if not np.allclose(one.affine, other.affine, atol=0.001):
        found.append(f"affines {one.affine} and {other.affine}")
    if not np.allclose(voxels, others, rtol=FLOAT32, atol=FLOAT32 * np.abs(others).max()):
        found.append(f"voxels, by {np.abs(voxels - others).max()}")
    if one.ndim > 3 and not np.isclose(one.header["pixdim"][4], other.header["pixdim"][4], atol=0.001):
        found.append("repetition times")
    return found


def compared(tmp_path, files):
    """Match each of their images to one of ours, none left over; returns our volumes."""
    require_corpus()
    volumes = read_volumes(files).volumes
    ours = [to_nifti(volume) for volume in volumes]
    for image in theirs(tmp_path, files):
        told = [differences(image, each) for each in ours]
        assert [] in told, told
        ours.pop(told.index([]))
    assert not ours
    return volumes


@pytest.mark.parametrize("series", SERIES)
def test_series_are_those_of_dcm2niix(tmp_path, series):
    (volume,) = compared(tmp_path, corpus_files(f"series/{series}"))
    assert volume.regular
    assert not volume.problems


@pytest.mark.parametrize("pattern", ENHANCED)
def test_enhanced_objects_are_those_of_dcm2niix(tmp_path, pattern):
    compared(tmp_path, sorted((require_corpus() / "odd/enhanced_multiframe").glob(pattern)))


@pytest.mark.parametrize("name", SINGLE)
def test_single_slices_are_those_of_dcm2niix(tmp_path, name):
    compared(tmp_path, [require_corpus() / "odd/transfer_syntaxes" / name])


def test_the_dose_keeps_its_scale_and_the_tilted_slice_its_place(tmp_path):
    """Where both differ on purpose, it is in this and nothing else."""
    root = require_corpus() / "odd"
    for number, (path, ratio) in enumerate(
        [(root / "rt/rtdose.dcm", 1e-6), (root / "transfer_syntaxes/J2K_pixelrep_mismatch.dcm", None)]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (image,) = theirs(folder, [path])
        (volume,) = read_volumes([path]).volumes
        told = differences(image, to_nifti(volume))
        assert [word.split(",")[0].split(" ")[0] for word in told] == ["affines", "voxels"]
        if ratio:
            assert image.get_fdata().max() * ratio == pytest.approx(volume.array.max())


def test_every_transfer_syntax_of_one_image_gives_the_same_voxels():
    """Lossless ones; the lossy are near."""
    files = corpus_files("odd/transfer_syntaxes_ct_set")
    if not files:
        require_corpus()
    arrays = {path.name: read_volumes([path]).volumes[0].array for path in files}
    reference = arrays["CTImage.dcm"]
    lossy = {name for name, array in arrays.items() if not np.array_equal(array, reference)}
    assert len(arrays) == 16
    assert all(
        any(
            word in name
            for word in ("Process1T", "Process2_4", "Process6_8", "Process10_12", "LSLossy", "JPEG2000T")
        )
        for name in lossy
    )
