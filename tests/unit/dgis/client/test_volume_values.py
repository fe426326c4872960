"""Voxels are real values; repeats of a place are a fourth dimension in the order of acquisition."""

import io

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from dgis.client.volume.reading import read_volumes
from dgis.client.volume.values import VolumeError
from tests.unit.dgis.client.build import image, slices

HTJ2K = UID("1.2.840.10008.1.2.4.201")


def one(sources):
    (volume,) = read_volumes(sources).volumes
    return volume


def test_whole_numbers_stay_whole():
    volume = one(slices([0, 5], RescaleSlope=1, RescaleIntercept=-1024, Modality="CT"))
    assert volume.array.dtype == np.int16
    assert volume.array[:, 0, 0].tolist() == [-1024, -974]
    assert volume.units == "HU"


def test_a_slope_of_each_slice_is_its_own():
    given = list(slices([0, 5, 10]))
    for slope, each in zip((1.5, 2.5, 3.5), given, strict=True):
        each.RescaleSlope, each.RescaleIntercept = slope, 1
    volume = one(given)
    assert volume.array.dtype == np.float32
    assert volume.array[:, 0, 0].tolist() == [1, 126, 351]


def test_wide_values_do_not_wrap():
    given = list(slices([0, 5], kind="<u2", RescaleSlope=3, RescaleIntercept=0))
    given[1].PixelData = np.full((4, 5), 65535, "<u2").tobytes()
    assert one(given).array[:, 0, 0].tolist() == [0, 196605]


def test_bits_that_are_no_part_of_the_value_are_left_out():
    given = image(np.array([[0x7FFF, 0x8801]], "<u2"), BitsStored=12, HighBit=11)
    assert one([given]).array.tolist() == [[[0xFFF, 0x801]]]
    given.PixelRepresentation = 1
    assert one([given]).array.tolist() == [[[-1, -0x7FF]]]


def repeated(order, times=3, **said):
    """Volumes of two slices; all pixels are slice + 100 * time, `order` sets what tells the time."""
    for time in range(times):
        for place in range(2):
            (each,) = slices([place * 5.0], **said)
            each.PixelData = np.full((4, 5), place + 100 * time, "<i2").tobytes()
            each.InstanceNumber = 1 + place * times + time
            order(each, time)
            yield each


def by_temporal_position(each, time):
    each.TemporalPositionIdentifier = time + 1
    each.AcquisitionTime = f"1200{time * 2:02}.5"


@pytest.mark.parametrize("keep", ["TemporalPositionIdentifier", "AcquisitionTime", "InstanceNumber"])
def test_time_points_are_in_the_order_of_acquisition(keep):
    given = list(repeated(by_temporal_position))[::-1]
    for each in given:
        for word in {"TemporalPositionIdentifier", "AcquisitionTime", "InstanceNumber"} - {keep}:
            delattr(each, word)
    volume = one(given)
    assert volume.array.shape == (3, 2, 4, 5)
    assert volume.array[:, :, 0, 0].tolist() == [[0, 1], [100, 101], [200, 201]]
    assert volume.axis.name == ("time" if keep == "AcquisitionTime" else "repeat")
    if keep == "AcquisitionTime":
        assert volume.axis.values == (0.0, 2.0, 4.0)


def test_b_values_name_the_axis():
    def weigh(each, time):
        each.DiffusionBValue = (0.0, 1000.0, 1000.0)[time]

    volume = one(repeated(weigh))
    assert (volume.axis.name, volume.axis.values) == ("b_value", (0.0, 1000.0, 1000.0))


@pytest.mark.parametrize(
    ("creator", "tag", "vr", "values"),
    [
        ("SIEMENS MR HEADER", 0x0019100C, "IS", ["0", "700"]),
        ("GEMS_PARM_01", 0x00431039, "IS", [["0", "8", "0", "0"], ["1000000700", "8", "0", "0"]]),
        ("Philips Imaging DD 001", 0x20011003, "FL", [0.0, 700.0]),
    ],
)
def test_b_values_of_vendors_are_known(creator, tag, vr, values):
    def weigh(each, time):
        each.private_block(tag >> 16, creator, create=True).add_new(tag & 0xFF, vr, values[time])

    assert one(repeated(weigh, times=2)).axis.values == (0.0, 700.0)


def test_echoes_are_volumes_of_their_own():
    def sound(each, time):
        each.EchoTime = (2.5, 5.0, 7.5)[time]

    found = read_volumes(repeated(sound)).volumes
    assert [volume.array[:, 0, 0].tolist() for volume in found] == [[0, 1], [100, 101], [200, 201]]
    assert [volume.about["EchoTime"] for volume in found] == [2.5, 5.0, 7.5]


def test_an_incomplete_time_point_is_not_hidden():
    given = list(repeated(by_temporal_position))
    whole, rest = read_volumes(given[:-1]).volumes
    assert whole.array.shape == (2, 2, 4, 5)
    assert rest.array[:, 0, 0].tolist() == [200]
    assert rest.problems[0] == "one of several repeats, and incomplete: 1 of 2 slices"


def test_a_hole_without_any_time_is_told_too():
    given = list(repeated(lambda *_: None))
    found = read_volumes(given[:3] + given[4:]).volumes
    assert sum(volume.array[..., 0, 0].size for volume in found) == 5
    assert any("incomplete" in word for volume in found for word in volume.problems)


def compressed(samples, syntax, encode):
    made = image(samples[np.newaxis] if samples.ndim == 2 else samples)
    made.NumberOfFrames = len(samples) if samples.ndim > 2 else 1
    frames = samples if samples.ndim > 2 else samples[np.newaxis]
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.PixelData = encapsulate([encode(frame) for frame in frames])
    made["PixelData"].is_undefined_length = True
    return made


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (HTJ2K, lambda frame: imagecodecs.htj2k_encode(frame, reversible=True)),
        (
            "1.2.840.10008.1.2.4.90",
            lambda frame: imagecodecs.jpeg2k_encode(frame, codecformat="J2K", level=0),
        ),
        ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
        ("1.2.840.10008.1.2.4.70", lambda frame: imagecodecs.ljpeg_encode(frame, bitspersample=16)),
    ],
)
def test_compressed_frames_are_decoded(syntax, encode):
    samples = np.random.default_rng(3).integers(0, 65535, (3, 16, 24), np.uint16)
    assert (one([compressed(samples, syntax, encode)]).array == samples).all()


def test_damaged_pixels_are_an_error_in_words():
    samples = np.random.default_rng(3).integers(0, 65535, (32, 32), np.uint16)
    whole = imagecodecs.htj2k_encode(samples, reversible=True)
    with pytest.raises(VolumeError, match="damaged pixels"):
        read_volumes([compressed(samples, HTJ2K, lambda _: whole[: len(whole) // 2])])


def test_colour_is_the_last_axis():
    picture = image(np.zeros((4, 5), "u1"))
    colours = np.random.default_rng(5).integers(0, 255, (4, 5, 3), np.uint8)
    picture.SamplesPerPixel, picture.PhotometricInterpretation, picture.PlanarConfiguration = 3, "RGB", 1
    picture.PixelData = colours.transpose(2, 0, 1).tobytes()
    volume = one([picture])
    assert volume.colour
    assert (volume.array[0] == colours).all()


def test_bytes_of_a_file_do_as_well_as_a_data_set():
    (given,) = slices([0], SliceThickness=1)
    file = io.BytesIO()
    given.save_as(file, enforce_file_format=True)
    assert (one([file.getvalue()]).array == one([given]).array).all()
