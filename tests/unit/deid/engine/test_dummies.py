"""What stands where a value was taken is a value of its kind (PS3.15 E.1, D; PS3.6 for VR and VM)."""

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from tests.unit.deid.engine.build import dataset, el, published


def header(form):
    return read_dataset(DicomBytesIO(form.before), is_implicit_VR=False, is_little_endian=True)


@pytest.mark.parametrize(
    ("tag", "vr", "size"),
    [
        (0x00640009, "OF", 4),  # Vector Grid Data
        (0x00660040, "OL", 4),  # Long Primitive Point Index List
        (0x00720073, "OD", 8),  # Selector OD Value
        (0x00720081, "OV", 8),  # Selector OV Value
        (0x00283006, "OW", 2),  # LUT Data
    ],
)
def test_bulk_values_are_whole_words(tag, vr, size):
    found = header(published(dataset(el(tag, vr, b"Kanarie Anna 19310417 ".ljust(24)))))
    assert found[tag].value == bytes(size)


@pytest.mark.parametrize(
    ("tag", "keyword", "values"),
    [
        (0x00280030, "PixelSpacing", [0, 0]),
        (0x00200032, "ImagePositionPatient", [0, 0, 0]),
        (0x00200037, "ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
    ],
)
def test_there_are_as_many_values_as_there_must_be(tag, keyword, values):
    found = header(published(dataset(el(tag, "DS", "Kanarie Anna"))))
    assert found[keyword].value == values
