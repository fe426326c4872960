"""Frames read one by one out of large originals and records: which bytes they are, and how many are read."""

import struct
import zlib
from collections import Counter
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames

from deid.elements import WalkError
from deid.pseudonyms import Pseudonyms, SiteSecrets
from dgis.cache.extent import Extent
from dgis.cache.pieces import PIECE_BYTES
from dgis.dicomweb.image import NoFramesError
from dgis.dicomweb.laid import Streams, laid_out
from dgis.retriever.ranges import CachedRanges
from dgis.transcode.errors import DamagedPixelsError
from tests.corpus import corpus_files, require_corpus
from tests.unit.dgis.dicomweb.conftest import dataset, opened, parts
from tests.unit.dgis.site import CLEARED, FACILITY, SECRET, UNCLEARED, Site

LITTLE, IMPLICIT, RLE, JPEG = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
)
AS_IT_LIES = 'multipart/related; type="*/*"; transfer-syntax=*'
AS_SENT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
NATIVE = 'multipart/related; type="application/octet-stream"'
FOLDERS = ("enhanced_multiframe", "large_bits_multiframe", "legacy_converted", "rt", "seg", "sm", "us")
DEFLATED = "1.2.840.10008.1.2.8.1"  # frame by frame
BIG_ENDIAN = "1.2.840.10008.1.2.2"  # converted as a whole, and held by the tests of conversion


def corpus_images():
    """(image, its frames as pydicom tells them apart) of every file of many frames or of compressed ones."""
    require_corpus()
    for path in corpus_files(*(f"odd/{each}" for each in (*FOLDERS, "transfer_syntaxes"))):
        try:
            read = pydicom.dcmread(path)
            syntax = str(read.file_meta.TransferSyntaxUID)
        except (pydicom.errors.InvalidDicomError, AttributeError, ValueError):
            continue
        # What pydicom knows of a syntax depends on what else is loaded: pynetdicom adds some.
        compressed = "PixelData" in read and read["PixelData"].is_undefined_length
        count = int(read.get("NumberOfFrames") or 1)
        if not read.get("StudyInstanceUID") or not read.get("SeriesInstanceUID"):
            continue  # held for an operator, and served to nobody
        if "PixelData" not in read or syntax == BIG_ENDIAN or (count == 1 and not compressed):
            continue
        frames = frames_by_pydicom(read, count, compressed, syntax)
        yield image_of(dataset(path.read_bytes()), read, syntax), frames


def frames_by_pydicom(read, count, compressed, syntax):
    if compressed:
        frames = list(generate_frames(read.PixelData, number_of_frames=count))
        # No media type is defined for these frames, so they leave as native ones (PS3.18 8.7.3.3).
        return [zlib.decompress(each, -zlib.MAX_WBITS) for each in frames] if syntax == DEFLATED else frames
    bits = read.Rows * read.Columns * read.SamplesPerPixel * read.BitsAllocated
    if bits % 8:
        cells = np.unpackbits(np.frombuffer(read.PixelData, np.uint8), bitorder="little")
        each = (cells[number * bits : (number + 1) * bits] for number in range(count))
        return [np.packbits(frame, bitorder="little").tobytes() for frame in each]
    return [read.PixelData[number * bits // 8 : (number + 1) * bits // 8] for number in range(count)]


def image_of(data, read, syntax):
    return SimpleNamespace(
        sop_class_uid=str(read.SOPClassUID),
        sop_instance_uid=str(read.SOPInstanceUID),
        transfer_syntax=syntax,
        dataset=data,
    )


@pytest.fixture
def everything_in_ranges(monkeypatch):
    """Small originals are read in parts, too."""
    init = CachedRanges.__init__
    monkeypatch.setattr(CachedRanges, "__init__", lambda self, index: init(self, index, 0))


@pytest.mark.corpus
@pytest.mark.usefixtures("everything_in_ranges")
def test_frames_of_real_files_are_those_that_pydicom_sees(tmp_path):
    found = {image.sop_instance_uid: (image, frames) for image, frames in corpus_images()}
    assert len(found) > 20
    site = Site(tmp_path)
    site.publish([image for image, _frames in found.values()])
    compared = Counter()
    with opened(site) as web:
        for path in web.paths(CLEARED):
            image, frames = found[path.rpartition("/")[2]]
            listed = ",".join(str(number + 1) for number in range(len(frames)))
            got = web.get(f"{path}/frames/{listed}", CLEARED, AS_IT_LIES)
            assert [body for _fields, body in parts(got)] == frames, path
            (last,) = parts(web.get(f"{path}/frames/{len(frames)}", CLEARED, AS_IT_LIES))
            assert last[1] == frames[-1]
            assert web.get(f"{path}/frames/{len(frames) + 1}", CLEARED, AS_IT_LIES).status_code == 404
            compared["original"] += 1
        originals = pseudonyms_of(found)
        for path in web.paths(UNCLEARED):
            image, frames = found[originals[path.rpartition("/")[2]]]
            compressed = image.transfer_syntax not in {LITTLE, IMPLICIT}
            if compressed:  # text segments are taken out of codestreams: what is served as the whole decides
                ((_fields, file),) = parts(web.get(path, UNCLEARED, AS_SENT))
                read = pydicom.dcmread(BytesIO(file))
                frames = frames_by_pydicom(read, len(frames), compressed, image.transfer_syntax)
            listed = ",".join(str(number + 1) for number in range(len(frames)))
            got = web.get(f"{path}/frames/{listed}", UNCLEARED, AS_IT_LIES if compressed else NATIVE)
            assert [body for _fields, body in parts(got)] == frames, path
            compared["record", compressed] += 1
    site.close()
    assert compared["original"] == len(found)
    assert compared["record", False] > 5
    assert compared["record", True] > 2


def pseudonyms_of(found):
    """Original SOP Instance UID by pseudonym."""
    own = Pseudonyms(SiteSecrets(SECRET), FACILITY)
    return {own.uid(uid): uid for uid in found}


def written(syntax, frames, rows=0, columns=0, seed=1):
    """An original of many frames: native, or each frame one fragment of bytes that nobody has to decode."""
    read = pydicom.Dataset()
    read.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    read.SOPInstanceUID, read.StudyInstanceUID, read.SeriesInstanceUID = "2.25.1", "2.25.2", "2.25.3"
    read.PatientID, read.PatientName = "1", "A^B"
    read.Modality = "MR"
    read.NumberOfFrames = len(frames)
    read.SamplesPerPixel, read.PhotometricInterpretation = 1, "MONOCHROME2"
    read.Rows, read.Columns = rows, columns
    read.BitsAllocated = read.BitsStored = 8
    read.HighBit, read.PixelRepresentation = 7, 0
    file = BytesIO()
    pydicom.dcmwrite(file, read, implicit_vr=syntax == IMPLICIT, little_endian=True)
    if syntax in {LITTLE, IMPLICIT}:
        value = b"".join(frames)
        long = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, len(value))
        short = struct.pack("<HHI", 0x7FE0, 0x10, len(value))
        pixels = (short if syntax == IMPLICIT else long) + value
    else:
        fragments = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(each)) + each for each in (b"", *frames))
        head = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
        pixels = head + fragments + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return image_of(file.getvalue() + pixels, read, syntax)


@pytest.fixture
def reads(monkeypatch):
    """The bytes read of cached data sets since it was cleared."""
    counted = []
    read = Extent.read

    def counting(self, start, length):
        data = read(self, start, length)
        counted.append(len(data))
        return data

    monkeypatch.setattr(Extent, "read", counting)
    return counted


FRAME_BYTES = 512 * 512
LARGE = {
    "native": (LITTLE, 24),
    "implicit": (IMPLICIT, 24),
    "compressed": (RLE, 24),
}


@pytest.fixture(params=LARGE)
def large(request, site):
    syntax, count = LARGE[request.param]
    random = np.random.default_rng(3)
    frames = [random.bytes(FRAME_BYTES) for _ in range(count)]
    image = written(syntax, frames, 512, 512)
    site.receive([image])
    with opened(site) as web:
        yield web, image, frames


def path_of(web):
    (path,) = web.paths(CLEARED)
    return path


def test_a_frame_of_a_large_original_costs_its_own_bytes(large, reads):
    web, image, frames = large
    path = path_of(web)
    (first,) = parts(web.get(f"{path}/frames/1", CLEARED, AS_IT_LIES))
    assert first[1] == frames[0]
    # Once it is compared with its digest, and the headers of its fragments are looked at.
    assert len(image.dataset) <= sum(reads) <= len(image.dataset) + (len(frames) + 8) * PIECE_BYTES
    for number in (1, 11, len(frames) - 1):
        reads.clear()
        (got,) = parts(web.get(f"{path}/frames/{number + 1}", CLEARED, AS_IT_LIES))
        assert got[1] == frames[number]
        assert FRAME_BYTES <= sum(reads) <= FRAME_BYTES + 2 * PIECE_BYTES


def test_a_part_that_rotted_is_not_served(large):
    web, image, frames = large
    path = path_of(web)
    web.get(f"{path}/frames/1", CLEARED, AS_IT_LIES)
    rot_at(web.site, image.dataset.index(frames[7]) + 1000)
    assert web.get(f"{path}/frames/8", CLEARED, AS_IT_LIES).status_code == 503  # and nowhere else yet
    (other,) = parts(web.get(f"{path}/frames/20", CLEARED, AS_IT_LIES))
    assert other[1] == frames[19]


@pytest.mark.parametrize("large", ["native", "implicit"], indirect=True)
def test_what_is_evicted_or_rots_between_two_frames_comes_from_the_grid(large, monkeypatch):
    web, _image, frames = large  # bytes that are no RLE are not published
    web.site.publish(part_bytes=64 << 20)
    path = path_of(web)
    (got,) = parts(web.get(f"{path}/frames/3", CLEARED, AS_IT_LIES))
    assert got[1] == frames[2]
    whole = web.site.evict
    read = CachedRanges.read

    def evicting(self, location, start, length):
        data = bytes(read(self, location, start, length))
        whole()
        return data

    monkeypatch.setattr(CachedRanges, "read", evicting)
    got = parts(web.get(f"{path}/frames/3,24", CLEARED, AS_IT_LIES))
    assert [body for _fields, body in got] == [frames[2], frames[23]]


def rot_at(site, place):
    """Flip a bit of the only instance of a site."""
    (location,) = [each.location for each in located(site)]
    with site.log.files.path(location.segment_id).open("r+b") as file:
        file.seek(location.position + location.data_offset + place)
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def located(site):
    with site.engine.connect() as connection:
        return site.index.locate(connection, [ref.phi_instance_id for ref in site.refs(CLEARED)]).values()


def test_a_frame_of_a_record_costs_no_node_the_series(site, monkeypatch):
    random = np.random.default_rng(3)
    frames = [random.bytes(FRAME_BYTES) for _ in range(24)]
    site.publish([written(LITTLE, frames, 512, 512)], part_bytes=64 << 20)
    site.evict()
    given = []
    for node in site.grid.memory.values():
        take = node.get_range
        monkeypatch.setattr(node, "get_range", lambda *said, take=take: counted(given, take(*said)))
    with opened(site) as web:
        (path,) = web.paths(UNCLEARED)
        (got,) = parts(web.get(f"{path}/frames/13", UNCLEARED, NATIVE))
    assert got[1] == frames[12]
    assert FRAME_BYTES // 2 < sum(given) < 2 * FRAME_BYTES


def counted(given, data):
    given.append(len(data))
    return data


def reader(data):
    return lambda start, length: memoryview(data)[start : start + length]


def laid(image):
    return laid_out(reader(image.dataset), len(image.dataset), image.transfer_syntax)


def test_several_fragments_of_a_frame_are_told_apart_by_their_beginnings():
    fragments = [b"\xff\xd8ab", b"cd", b"", b"\xff\xff\xd8e", b"fg", b"\xff\xd8hi"]
    image = written(JPEG, fragments, 2, 2)
    data = image.dataset.replace(b"(\0\x08\0IS\x02\0006 ", b"(\0\x08\0IS\x02\0003 ")
    assert data != image.dataset
    found = laid_out(reader(data), len(data), JPEG).known
    assert list(Streams(reader(data), found.spans)) == [b"\xff\xd8abcd", b"\xff\xff\xd8efg", b"\xff\xd8hi"]
    for wrong in (b"2", b"4", b"5"):
        other = data.replace(b"(\0\x08\0IS\x02\0003 ", b"(\0\x08\0IS\x02\0" + wrong + b" ")
        with pytest.raises(DamagedPixelsError):
            laid_out(reader(other), len(other), JPEG)


def test_no_length_is_believed_that_passes_the_end():
    native = written(LITTLE, [bytes(64)] * 4, 8, 8)
    with pytest.raises(WalkError):
        laid_out(reader(native.dataset[:-2]), len(native.dataset) - 2, LITTLE)
    short = written(LITTLE, [bytes(64)] * 4, 8, 16)
    with pytest.raises(NoFramesError):
        laid(short)
    compressed = written(RLE, [bytes(64)] * 4, 8, 8)
    for cut in (1, 8, 9, 70, 73):
        data = compressed.dataset[:-cut]
        with pytest.raises(WalkError):
            laid_out(reader(data), len(data), RLE)
    huge = compressed.dataset[:-16] + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFF0) + bytes(8)
    with pytest.raises(WalkError):
        laid_out(reader(huge), len(huge), RLE)


def test_a_header_longer_than_the_first_look_is_read_on():
    image = written(LITTLE, [bytes(64)] * 4, 8, 8)
    long = struct.pack("<HH2sHI", 0x0009, 0x1010, b"OB", 0, 1 << 20) + bytes(1 << 20)
    at = image.dataset.index(struct.pack("<HH", 0x0010, 0x0010))
    data = image.dataset[:at] + long + image.dataset[at:]
    found = laid_out(reader(data), len(data), LITTLE).known
    assert data[found.value :] == bytes(256)
    assert found.image.count == 4


def test_a_frame_too_large_for_memory_is_left_to_the_whole(monkeypatch):
    images = [written(syntax, [bytes(64), bytes(64)], 8, 8) for syntax in (LITTLE, IMPLICIT, RLE)]
    monkeypatch.setattr("dgis.dicomweb.laid._MOST_FRAME_BYTES", 64)
    assert all(laid(image).known for image in images)
    monkeypatch.setattr("dgis.dicomweb.laid._MOST_FRAME_BYTES", 63)
    assert not any(laid(image).known for image in images)


def test_what_its_syntax_does_not_describe_is_judged_whole():
    image = written(LITTLE, [bytes(64)] * 4, 8, 8)
    for syntax in (RLE, IMPLICIT, BIG_ENDIAN, "1.2.840.10008.1.2.1.99"):
        assert laid_out(reader(image.dataset), len(image.dataset), syntax).known is None
    assert laid_out(reader(b""), 0, LITTLE).known is None
