import pytest

from deid.files.part10 import file_head, read_part10
from storage_nodes.record import part10 as gateway
from tests.unit.deid.engine.build import CT, EXPLICIT, IMPLICIT, el
from tests.unit.deid.files.build import meta, native, part10, published_kinds, withheld_kinds

DIRECTORY = "1.2.840.10008.1.3.10"


@pytest.mark.parametrize("kind", [*published_kinds(), *withheld_kinds()])
def test_dicom_is_known_in_every_wrapping(kind):
    assert read_part10((published_kinds() | withheld_kinds())[kind]) is not None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x08",
        b"Patient: Jane Doe\n" * 20,
        b"%PDF-1.7\n" + bytes(300),
        bytes(300),
        bytes(128) + b"DICX" + meta(EXPLICIT) + native(),
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"PK\x03\x04" + bytes(200),
    ],
)
def test_what_is_no_dicom_is_known_too(raw):
    assert read_part10(raw) is None


def test_it_finds_where_the_data_set_begins_and_what_the_meta_says():
    raw = part10(native(), EXPLICIT)
    found = read_part10(raw)
    assert raw[found.start :] == native()
    assert (found.transfer_syntax, found.sop_class_uid) == (EXPLICIT, CT)
    assert read_part10(native(IMPLICIT)).start == 0


def test_the_first_bytes_are_enough():
    raw = part10(native())
    assert read_part10(raw[:600]) == read_part10(raw)


@pytest.mark.parametrize(
    "raw",
    [
        part10(el(0x00041130, "CS", "STUDIES"), sop_class=DIRECTORY),
        el(0x00041130, "CS", "STUDIES") + el(0x00041200, "UL", bytes(4)),
    ],
    ids=["file", "bare"],
)
def test_a_directory_is_known(raw):
    assert read_part10(raw).directory


def test_the_head_is_the_one_the_gateway_writes():
    uids = (CT, "2.25.77", EXPLICIT)
    assert file_head(*uids) == gateway.file_head(*uids)
