"""Metadata, bulk data and frames, of what lies in a record and of originals."""

import json
import xml.etree.ElementTree as ET
from io import BytesIO

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from deid.elements import Encoding, WalkError
from dgis.dicomweb.described import Describer, Header
from dgis.dicomweb.forms import JsonForm, XmlForm
from dgis.dicomweb.frames import NativeFrames, _grouped
from dgis.dicomweb.values import values
from tests.unit.dgis.dicomweb.conftest import parts
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom

IMAGES = phantom(3)
LITTLE = "1.2.840.10008.1.2.1"
HTJ2K = "1.2.840.10008.1.2.4.201"  # of frames this small; larger ones are RPCL
SPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def as_stored(web, path, caller):
    answer = web.get(path, caller, "application/dicom; transfer-syntax=*")
    return pydicom.dcmread(BytesIO(answer.content))


def comparable(data):
    """A data set as JSON without pixels and the character set it was written in."""
    told = json.loads(data.to_json())
    told.pop("7FE00010")
    told.pop("00080005", None)
    return told


@pytest.mark.parametrize("caller", [CLEARED, UNCLEARED], ids=lambda caller: caller.name)
def test_metadata_is_the_header_without_what_is_long(shared, caller):
    paths = shared.paths(caller)
    answers = shared.get(f"{'/'.join(paths[0].split('/')[:5])}/metadata", caller).json()
    assert len(answers) == len(IMAGES)
    for path, told in zip(paths, answers, strict=True):
        assert list(told) == sorted(told)
        assert told.pop("7FE00010")["BulkDataURI"] == f"http://gateway:80/dicom-web{path}/bulkdata/7FE00010"
        assert told.pop("00080005", {"Value": ["ISO_IR 192"]})["Value"] == ["ISO_IR 192"]
        assert told == comparable(as_stored(shared, path, caller))
        (alone,) = shared.get(f"{path}/metadata", caller).json()
        assert told.items() <= alone.items()


def test_metadata_of_a_series_reads_the_headers_at_once(web):
    """One read opens the record and takes the headers behind its index; none is of pixels."""
    reads = []
    for node in web.site.grid.memory.values():
        get_range = node.get_range

        def counted(name, start, length, get_range=get_range):
            reads.append((start, length))
            return get_range(name, start, length)

        node.get_range = counted
    series = "/".join(web.paths(UNCLEARED)[0].split("/")[:5])
    assert len(web.get(f"{series}/metadata").json()) == len(IMAGES)
    assert len(reads) == 1
    assert reads[0][1] < 8 << 10
    frame, reads[:] = f"{web.paths(UNCLEARED)[1]}/frames/1", []
    assert web.get(frame).status_code == 200
    assert len(reads) == 2  # what opens it, the frame
    assert sum(length for _start, length in reads) < len(IMAGES[1].dataset)


def test_metadata_in_xml(shared):
    path = shared.paths(CLEARED)[0]
    answer = shared.get(f"{path}/metadata", CLEARED, 'multipart/related; type="application/dicom+xml"')
    ((_fields, body),) = parts(answer)
    tree = ET.fromstring(body)
    (told,) = shared.get(f"{path}/metadata", CLEARED).json()
    assert [each.get("tag") for each in tree] == list(told)
    bulk = next(each for each in tree if each.get("tag") == "7FE00010")
    assert bulk.find(f"{SPACE}BulkData").get("uri") == told["7FE00010"]["BulkDataURI"]


@pytest.mark.parametrize("evicted", [False, True])
def test_frames_are_the_pixels(web, evicted):
    if evicted:
        web.site.evict()
    for caller in (CLEARED, UNCLEARED):
        path = web.paths(caller)[0]
        expected = as_stored(web, path, caller)
        answer = web.get(f"{path}/frames/1", caller)
        ((fields, body),) = parts(answer)
        assert fields == f"Content-Type: application/octet-stream; transfer-syntax={LITTLE}"
        assert body == expected.PixelData
        alone = web.get(f"{path}/frames/1", caller, "application/octet-stream")
        assert alone.content == expected.PixelData
        uri = f"{path}/bulkdata/7FE00010"
        assert web.get(uri, caller, "application/octet-stream").content == expected.PixelData


@pytest.mark.parametrize(
    "accept",
    [
        'multipart/related; type="image/jphc"',
        f'multipart/related; type="image/jphc"; transfer-syntax={HTJ2K}',
        'multipart/related; type="image/*"',
        'multipart/related; type="*/*"; transfer-syntax=*',
    ],
)
def test_a_frame_of_a_record_is_served_as_it_lies(shared, accept):
    path = shared.paths(UNCLEARED)[0]
    ((fields, body),) = parts(shared.get(f"{path}/frames/1", accept=accept))
    assert fields == f"Content-Type: image/jphc; transfer-syntax={HTJ2K}"
    expected = as_stored(shared, path, UNCLEARED)
    pixels = np.frombuffer(expected.PixelData, "<u2" if expected.PixelRepresentation == 0 else "<i2")
    assert np.array_equal(imagecodecs.jpeg2k_decode(body).ravel(), pixels)


@pytest.mark.parametrize(
    ("frames", "accept", "status"),
    [
        ("2", None, 404),
        ("0", None, 400),
        ("1,", None, 400),
        ("1,x", None, 400),
        ("9" * 12, None, 400),
        ("1", "image/png", 406),
        ("1", 'multipart/related; type="image/jls"', 406),
        ("1", "image/jphc", 200),
        ("1,1", "application/octet-stream", 406),
        ("1,1", None, 200),
    ],
)
def test_frames_that_are_asked_for_wrongly(shared, frames, accept, status):
    answer = shared.get(f"{shared.paths(UNCLEARED)[0]}/frames/{frames}", accept=accept)
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("path", "status"), [("00420011", 404), ("0040A730/1/0040A160", 404), ("x", 400)])
def test_bulk_data_that_is_not_there(shared, path, status):
    assert shared.get(f"{shared.paths(UNCLEARED)[0]}/bulkdata/{path}").status_code == status


def test_others_get_nothing_of_originals(shared):
    original = shared.paths(CLEARED)[0]
    for what in ("metadata", "frames/1", "bulkdata/7FE00010"):
        assert shared.get(f"{original}/{what}").status_code == 404


def element(tag, vr, value):
    raw = Dataset()
    raw.add_new(tag, vr, value)
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    pydicom.filewriter.write_dataset(stream, raw)
    return stream.getvalue()


def test_every_kind_of_value_is_as_pydicom_has_it():
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    data.PatientName = "Müller^Jürgen"
    data.PatientWeight = "70.5"
    data.InstanceNumber = 7
    data.ImageType = ["ORIGINAL", "PRIMARY", ""]
    data.FrameIncrementPointer = [0x00181063, 0x00181065]
    data.Rows = 512
    data.RealWorldValueSlope = 1.5
    data.ICCProfile = b"\x01\x02\x03\x04"
    data.PatientComments = "a\\b"
    item = Dataset()
    item.CodeValue = "T-1"
    item.ConceptCodeSequence = [Dataset()]
    data.AnatomicRegionSequence = [item, Dataset()]
    data.PerformedProtocolCodeSequence = []
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    pydicom.filewriter.write_dataset(stream, data)
    told = json.loads(Describer(JsonForm()).write(Header([stream.getvalue()], Encoding.EXPLICIT_LE), "uri"))
    expected = json.loads(data.to_json())
    expected["00080005"]["Value"] = ["ISO_IR 192"]
    expected["00080008"]["Value"][2] = None  # F.2.5
    del expected["00400260"]["Value"]
    assert told == expected


def test_long_values_are_named_by_their_path():
    inner = element(0x00420011, "OB", bytes(2000))
    item = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    data = b"\x08\x00\x40\x11SQ\0\0" + len(item).to_bytes(4, "little") + item
    header = Header([data], Encoding.EXPLICIT_LE)
    told = json.loads(Describer(JsonForm()).write(header, "http://x/bulkdata"))
    (found,) = told["00081140"]["Value"]
    assert found["00420011"]["BulkDataURI"] == "http://x/bulkdata/00081140/1/00420011"
    assert b'uri="http://x/bulkdata/00081140/1/00420011"' in Describer(XmlForm()).write(
        header, "http://x/bulkdata"
    )


def test_text_that_xml_cannot_hold_is_replaced():
    data = element(0x00102160, "SH", 'a\x01<"&')
    tree = ET.fromstring(Describer(XmlForm()).write(Header([data], Encoding.EXPLICIT_LE), ""))
    assert [each.text for each in tree.iter(f"{SPACE}Value")] == ['a\ufffd<"&']


def test_a_damaged_header_is_refused_and_nests_only_so_deep():
    with pytest.raises(WalkError):
        Describer(JsonForm()).write(Header([b"\x08\x00\x05\x00CS\xff\x00x"], Encoding.EXPLICIT_LE), "")
    data = b""
    for _ in range(200):
        item = b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little") + data
        data = b"\x08\x00\x40\x11SQ\0\0" + len(item).to_bytes(4, "little") + item
    with pytest.raises(WalkError):
        Describer(JsonForm()).write(Header([data], Encoding.EXPLICIT_LE), "")


def test_numbers_that_are_cut_short_are_left_out():
    assert values(b"\x01\x00\x02", "US", (), "<") == [1]
    assert values(b"\x01", "US", (), "<") == []


def test_fragments_are_grouped_by_number_or_offset_table():
    assert _grouped(3, 3, b"", [1, 1, 1]) == [(0,), (1,), (2,)]
    assert _grouped(1, 3, b"", [1, 1, 1]) == [range(3)]
    table = (0).to_bytes(4, "little") + (20).to_bytes(4, "little")
    assert _grouped(2, 3, table, [1, 2, 5]) == [range(2), range(2, 3)]
    for wrong in (b"", bytes(8), (0).to_bytes(4, "little") + (7).to_bytes(4, "little")):
        assert _grouped(2, 3, wrong, [1, 2, 5]) is None


def test_frames_of_single_bits_need_not_begin_with_a_byte():
    bits = np.arange(27) % 3 == 0
    value = np.packbits(bits, bitorder="little").tobytes()
    frames = NativeFrames(lambda start, stop: value[start:stop], 3, 9)
    for number in range(3):
        got = np.unpackbits(np.frombuffer(frames.native(number), np.uint8), bitorder="little")
        assert np.array_equal(got[:9], bits[number * 9 : number * 9 + 9])
