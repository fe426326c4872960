"""Slices become volumes with the place they have in the patient; what is odd is said, never hidden."""

import random

import numpy as np
import pytest

from dgis.client.volume.reading import read_volumes
from dgis.client.volume.values import VolumeError
from tests.unit.dgis.client.build import SAGITTAL, group, image, slices


def one(sources):
    """The one volume of these sources."""
    (volume,) = read_volumes(sources).volumes
    return volume


def test_slices_are_sorted_along_their_normal_whatever_their_order_and_number():
    given = list(slices([0, 5, 10, 15]))
    random.Random(7).shuffle(given)
    volume = one(given)
    assert volume.array[:, 0, 0].tolist() == [0, 50, 100, 150]
    assert volume.spacing == (5.0, 2.0, 3.0)
    assert volume.affine @ [1, 2, 3, 1] == pytest.approx([-7, -16, 15, 1])
    assert volume.affine_ras @ [1, 2, 3, 1] == pytest.approx([7, 16, 15, 1])
    assert volume.origin == (-10.0, -20.0, 0.0)
    assert (volume.regular, volume.problems) == (True, ())


def test_a_sagittal_series_has_its_own_axes():
    volume = one(slices([0, 4], SAGITTAL))
    assert np.allclose(volume.direction, [[0, 0, -1], [1, 0, 0], [0, -1, 0]])
    assert np.linalg.det(volume.direction) == pytest.approx(1)


def test_a_tilted_gantry_gives_a_sheared_affine():
    given = list(slices([0, 5, 10]))
    for number, each in enumerate(given):
        each.ImagePositionPatient = [-10, -20 + 2 * number, 5 * number]
    volume = one(given)
    assert volume.affine[:3, 2] == pytest.approx([0, 2, 5])
    assert volume.regular


def test_a_missing_slice_is_reported():
    volume = one(slices([0, 5, 10, 20, 25]))
    assert not volume.regular
    assert volume.problems == ("slices are missing: 1 after slice 2 (counted from 0, 5.00 mm apart)",)
    assert volume.affine[:3, 2] == pytest.approx([0, 0, 5])
    assert volume.positions[:, 2].tolist() == [0, 5, 10, 20, 25]


def test_uneven_spacing_is_reported():
    volume = one(slices([0, 5, 10, 17, 22]))
    assert volume.problems == ("uneven spacing: 7.00 mm after slice 2, elsewhere 5.00 mm",)


def test_rounded_positions_are_no_problem():
    volume = one(slices([round(number * 2.34375, 1) for number in range(60)]))
    assert volume.regular
    assert volume.spacing[0] == pytest.approx(2.34375, abs=0.001)


def test_a_localizer_and_a_second_orientation_are_volumes_of_their_own():
    axial = list(slices([0, 5, 10], ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]))
    sagittal = list(slices([0, 3], SAGITTAL, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]))
    scout = list(slices([2], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    found = read_volumes([*scout, *axial, *sagittal]).volumes
    assert [volume.array.shape for volume in found] == [(1, 4, 5), (3, 4, 5), (2, 4, 5)]
    assert found[0].about["ImageType"] == ["LOCALIZER"]


def test_one_slice_takes_its_thickness():
    assert one(slices([3], SliceThickness=4)).spacing == (4.0, 2.0, 3.0)
    assert "thickness" in one(slices([3])).problems[0]


def test_an_image_without_geometry_is_an_array_and_says_so():
    volume = one([image(np.arange(6, dtype="u1").reshape(2, 3))])
    assert volume.array.tolist() == [[[0, 1, 2], [3, 4, 5]]]
    assert volume.affine is None
    with pytest.raises(VolumeError, match=r"only \.array"):
        _ = volume.spacing


def test_impossible_axes_are_no_geometry():
    (given,) = slices([0])
    given.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]
    assert one([given]).affine is None


def test_copies_and_reports_are_left_out_and_told():
    given = list(slices([0, 5]))
    report = image(np.zeros((1, 1), "u1"))
    del report.Rows
    read = read_volumes([*given, given[0], report])
    assert len(read.left_out) == 2
    assert read.volumes[0].array.shape == (2, 4, 5)


def test_nothing_but_reports_is_an_error_in_words():
    with pytest.raises(VolumeError, match="no image"):
        read_volumes([b"not DICOM"])


def test_frames_of_an_enhanced_object_have_their_places_in_functional_groups():
    frames = np.arange(3, dtype="<u2").repeat(20).reshape(3, 4, 5)
    each = [
        group(PlanePositionSequence={"ImagePositionPatient": [0, 0, depth]}) for depth in (10.0, 0.0, 5.0)
    ]
    shared = group(
        PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        PixelMeasuresSequence={"PixelSpacing": [2, 3], "SliceThickness": 5},
        PixelValueTransformationSequence={"RescaleSlope": 2, "RescaleIntercept": -1, "RescaleType": "HU"},
    )
    volume = one(
        [
            image(
                frames,
                PerFrameFunctionalGroupsSequence=each,
                SharedFunctionalGroupsSequence=[shared],
            )
        ]
    )
    assert volume.array[:, 0, 0].tolist() == [1, 3, -1]
    assert (volume.spacing, volume.units) == ((5.0, 2.0, 3.0), "HU")


def test_planes_of_a_dose_lie_where_its_offsets_say():
    dose = image(
        np.arange(3, dtype="<u4").repeat(20).reshape(3, 4, 5),
        ImagePositionPatient=[0, 0, 7],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[2, 3],
        GridFrameOffsetVector=[0, 4, 8],
        DoseGridScaling=0.5,
        DoseUnits="GY",
    )
    volume = one([dose])
    assert volume.array[:, 0, 0].tolist() == [0, 0.5, 1.0]
    assert (volume.spacing[0], volume.origin[2], volume.units) == (4.0, 7.0, "GY")
