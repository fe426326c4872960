"""Other people's files through the record: every bit back, the same pixels to an independent decoder."""

from collections import Counter
from io import BytesIO

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_fragments, parse_basic_offsets
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from storage_nodes.names import RecordKey
from storage_nodes.record.codecs import htj2k
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.unpack import part10
from storage_nodes.record.values import Codec, FrameLayout, PixelElement, RecordInstance
from storage_nodes.record.verify import verify_record
from storage_nodes.record.writer import write_record
from tests.corpus import corpus_files

pytestmark = [pytest.mark.corpus, pytest.mark.filterwarnings("ignore::UserWarning")]

EXPLICIT = "1.2.840.10008.1.2.1"
EVERY_NTH_OF_A_SERIES = 40
BIG_ENDIAN = "1.2.840.10008.1.2.2"
NATIVE = ("1.2.840.10008.1.2", EXPLICIT, BIG_ENDIAN, "1.2.840.10008.1.2.1.99")
PIXEL_TAGS = (0x7FE00010, 0x7FE00008, 0x7FE00009)


def layout_of(dataset: pydicom.Dataset) -> FrameLayout | None:
    try:
        return FrameLayout(
            rows=dataset.Rows,
            columns=dataset.Columns,
            samples=dataset.SamplesPerPixel,
            bits_allocated=dataset.BitsAllocated,
            bits_stored=dataset.get("BitsStored", 0),
            high_bit=dataset.get("HighBit", 0),
            signed=bool(dataset.get("PixelRepresentation", 0)),
            planar=dataset.get("PlanarConfiguration", 0) or 0,
            photometric=dataset.PhotometricInterpretation,
        )
    except AttributeError:
        return None


def pixel_of(dataset: pydicom.Dataset, syntax: str) -> PixelElement | None:
    """The pixel element as the de-identifier would hand it over; None where there is none."""
    tag = next((tag for tag in PIXEL_TAGS if tag in dataset), None)
    if tag is None:
        return None
    value = dataset[tag].value
    if syntax not in NATIVE:
        offsets = parse_basic_offsets(value)
        table = np.array(offsets, "<u4").tobytes()
        return PixelElement(tag, "OB", True, table, None, list(generate_fragments(value))[1:])
    layout = layout_of(dataset)
    if syntax == BIG_ENDIAN and dataset.BitsAllocated >= 16:
        value = np.frombuffer(value, f">u{dataset.BitsAllocated // 8}").byteswap().tobytes()
    size = 0 if layout is None else layout.frame_bits // 8
    whole = size == 0 or layout.frame_bits % 8 or len(value) < size
    frames = [value] if whole else [value[at : at + size] for at in range(0, len(value) - size + 1, size)]
    return PixelElement(tag, "OW", False, b"", layout, frames)


def instance_of(path, header: bytes = b"") -> RecordInstance | None:
    """An instance of a corpus file; None where pydicom cannot read it as an image."""
    dataset = pydicom.dcmread(path, force=True)
    syntax = dataset.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2")
    pixel = pixel_of(dataset, syntax)
    if pixel is None:
        return None
    kept = str(syntax) if pixel.encapsulated else EXPLICIT
    return RecordInstance("2.25.1", "1.2.840.10008.5.1.4.1.1.7", kept, header, b"", pixel)


SAMPLE = corpus_files("odd") + corpus_files("series")[::EVERY_NTH_OF_A_SERIES]


def test_every_bit_of_every_kind_of_file_comes_back(corpus):
    codecs = Counter()
    for path in SAMPLE:
        instance = instance_of(path)
        if instance is None:
            continue
        packed = write_record(RecordKey("corpus"), [instance], manifest={})
        source = BufferSource(b"".join(packed.body))
        reader = RecordReader(source)
        for number, payload in enumerate(instance.pixel.payloads):
            assert bytes(reader.payload(0, number)) == payload, path.name
        assert verify_record(source).whole
        codecs.update({codec: share.payloads for codec, share in packed.summary.codecs.items()})
    assert set(codecs) == set(Codec)
    assert codecs.total() > len(SAMPLE)


def test_an_independent_decoder_sees_what_is_served_as_it_lies(corpus):
    served = 0
    for path in SAMPLE:
        instance = instance_of(path)
        if instance is None or instance.pixel.encapsulated:
            continue
        packed = write_record(RecordKey("corpus"), [instance], manifest={})
        reader = RecordReader(BufferSource(b"".join(packed.body)))
        for number, payload in enumerate(instance.pixel.payloads):
            codestream = reader.codestream(0, number)
            if codestream.served_as is None:
                continue
            decoded = imagecodecs.jpeg2k_decode(codestream.data, planar=False)
            assert np.array_equal(decoded, htj2k.pixels(payload, instance.pixel.layout)), path.name
            served += 1
    assert served > 100


@pytest.mark.parametrize("series", ["ct_chest_philips", "mr_fmri_ge", "pet_wholebody_ge", "ct_abdomen_ge"])
def test_an_unpacked_file_shows_the_pixels_of_its_original(corpus, series):
    path = corpus_files(f"series/{series}")[7]
    original = pydicom.dcmread(path)
    record = BufferSource(b"".join(write_record(RecordKey("a"), [with_header(path)], manifest={}).body))
    unpacked = pydicom.dcmread(BytesIO(b"".join(map(bytes, part10(RecordReader(record), 0)))))
    assert np.array_equal(unpacked.pixel_array, original.pixel_array)
    assert unpacked.file_meta.TransferSyntaxUID == EXPLICIT


def with_header(path, number: int = 0) -> RecordInstance:
    """An instance with its header, without what the de-identifier would take out at least."""
    dataset = pydicom.dcmread(path)
    pixel = pixel_of(dataset, dataset.file_meta.TransferSyntaxUID)
    del dataset.PixelData
    dataset.remove_private_tags()
    dataset.SOPInstanceUID = f"2.25.{uuid_like(number)}"
    written = DicomBytesIO()
    written.is_little_endian, written.is_implicit_VR = True, False
    write_dataset(written, dataset)
    return RecordInstance(
        dataset.SOPInstanceUID, dataset.SOPClassUID, EXPLICIT, written.getvalue(), b"", pixel
    )


def uuid_like(number: int) -> int:
    """A number of 128 bits that does not compress, as pseudonyms are."""
    return int.from_bytes(np.random.default_rng(number).bytes(16), "big") | 1 << 127


SAVED_AT_LEAST = {
    # series: (per cent saved by record and companion together, companion bytes an instance)
    "ct_chest_philips": (52.5, 90),
    "ct_abdomen_ge": (69.0, 90),
    "mr_thigh_t2_siemens": (62.5, 90),
    "pet_wholebody_ge": (65.5, 90),
    "mr_fmri_ge": (80.0, 566),
}


@pytest.mark.parametrize("series", SAVED_AT_LEAST)
def test_a_record_leaves_room_for_the_savings_that_are_asked_for(corpus, series):
    percent, companion_bytes = SAVED_AT_LEAST[series]
    paths = corpus_files(f"series/{series}")
    raw_bytes = sum(path.stat().st_size for path in paths)
    instances = (with_header(path, number) for number, path in enumerate(paths))
    packed = write_record(RecordKey("a"), instances, manifest={})
    assert packed.size + companion_bytes * len(paths) < raw_bytes * (1 - percent / 100)
