import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from storage_nodes.record.errors import DamagedRecordError
from storage_nodes.record.reader import RecordReader, ServedAs
from storage_nodes.record.sources import BufferSource, CountingSource, FileSource, RangeSource
from storage_nodes.record.unpack import part10
from storage_nodes.record.values import Extent, PixelElement, RecordInstance
from tests.unit.storage_nodes.record.builders import (
    CT,
    EXPLICIT,
    JPEG_BASELINE,
    assert_equal,
    encapsulated,
    native,
    of_payloads,
    pack,
    packed_bytes,
    reader_of,
    smooth,
    without_pixels,
)

SERIES = [native(n, smooth(256, 256, seed=n)) for n in range(40)]


def dataset(reader, instance=0) -> bytes:
    return b"".join(map(bytes, reader.dataset(instance)))


def test_everything_comes_back_as_it_was_packed():
    mixed = [
        native(0, smooth(64, 48), smooth(64, 48, seed=1)),
        without_pixels(1, size=3 << 20),
        encapsulated(2, [b"\xff\xd8\xff\xd9", b"abc", b""], b"\0\0\0\0", after=b"tail"),
        of_payloads(3, [], None),
        replace(without_pixels(4), sop_instance_uid="1.2.3.004"),
        replace(without_pixels(5), sop_instance_uid=f"2.25.{1 << 128}"),
        replace(without_pixels(6), sop_instance_uid=f"2.25.{(1 << 128) - 1}"),
        replace(without_pixels(7), sop_instance_uid="2.25.007"),
        replace(without_pixels(8), sop_instance_uid="2.25."),
        native(9, np.zeros((5, 7, 3), "u1")),
    ]
    assert_equal(reader_of(*mixed), mixed)


def test_one_image_of_a_series_costs_the_opening_and_its_frame():
    source = CountingSource(BufferSource(packed_bytes(*SERIES)))
    reader = RecordReader(source)
    frame = int(reader.index.payloads[20].stored_bytes)
    assert dataset(reader, 20).endswith(SERIES[20].pixel.payloads[0])
    assert len(source.reads) == 2
    assert source.bytes_read == 64 * 1024 + frame


def test_with_the_row_s_layout_the_manifest_is_not_read():
    packed = pack(*SERIES)
    source = CountingSource(BufferSource(b"".join(packed.body)))
    reader = RecordReader(source, packed.layout)
    dataset(reader, 39)
    first, frame = source.reads
    start = packed.layout.index.start
    assert first == Extent(start, packed.layout.headers.end - start)
    assert frame.length == reader.index.payloads[39].stored_bytes
    assert reader.manifest.key == "test.0"
    assert source.reads[2].start == 0


def test_one_header_of_many_blocks_costs_one_block():
    random = np.random.default_rng(0)
    many = [RecordInstance(f"2.25.{n}", CT, EXPLICIT, random.bytes(300_000), b"", None) for n in range(12)]
    source = CountingSource(BufferSource(packed_bytes(*many)))
    reader = RecordReader(source)
    assert [block.instances for block in reader.index.blocks] == [3, 3, 3, 3]
    source.reads.clear()
    assert reader.before_after(7) == (many[7].before, b"")
    assert [extent.length for extent in source.reads] == [reader.index.blocks[2].stored_bytes]
    assert reader.before_after(8) == (many[8].before, b"")
    assert len(source.reads) == 1


def test_a_header_larger_than_a_block_is_a_block_of_its_own():
    reader = reader_of(without_pixels(0), without_pixels(1, size=2 << 20), without_pixels(2))
    assert [block.instances for block in reader.index.blocks] == [1, 1, 1]


def test_one_frame_of_many_costs_that_frame_and_all_of_them_few_reads():
    frames = [smooth(64, 64, seed=seed) for seed in range(300)]
    source = CountingSource(BufferSource(packed_bytes(native(0, *frames))))
    reader = RecordReader(source)
    source.reads.clear()
    assert bytes(reader.payload(0, 200)) == frames[200].tobytes()
    assert [extent.length for extent in source.reads] == [reader.index.payloads[200].stored_bytes]
    source.reads.clear()
    dataset(reader)
    assert len(source.reads) <= 2


def test_a_whole_series_is_read_in_strides_where_asked():
    source = CountingSource(BufferSource(packed_bytes(*SERIES)))
    reader = RecordReader(source, read_ahead_bytes=1 << 20)
    assert b"".join(dataset(reader, n)[-131072:] for n in range(40)) == b"".join(
        instance.pixel.payloads[0] for instance in SERIES
    )
    assert source.bytes_read < source.size * 1.5
    assert len(source.reads) < 8


def test_lengths_are_told_without_reading():
    source = CountingSource(BufferSource(packed_bytes(*SERIES)))
    reader = RecordReader(source)
    source.reads.clear()
    lengths = [reader.dataset_length(n) for n in range(40)]
    assert not source.reads
    assert lengths == [len(dataset(reader, n)) for n in range(40)]


def test_a_native_value_is_padded_to_even_length():
    frame = smooth(3, 3, "u1")
    found = dataset(reader_of(native(0, frame)))
    element = b"\xe0\x7f\x10\x00OW\0\0\x0a\0\0\0" + frame.tobytes() + b"\0"
    assert found.endswith(element)
    assert len(found) == reader_of(native(0, frame)).dataset_length(0)


def test_fragments_keep_their_offset_table_and_have_a_delimiter():
    found = dataset(reader_of(encapsulated(0, [b"abcd", b"ef"], b"\0\0\0\0\x0c\0\0\0", after=b"AFTER!")))
    assert found.endswith(
        b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
        b"\xfe\xff\x00\xe0\x08\0\0\0\0\0\0\0\x0c\0\0\0"
        b"\xfe\xff\x00\xe0\x04\0\0\0abcd"
        b"\xfe\xff\x00\xe0\x02\0\0\0ef"
        b"\xfe\xff\xdd\xe0\0\0\0\0"
        b"AFTER!"
    )


def test_odd_fragments_are_padded_and_offsets_that_would_lie_are_left_out():
    reader = reader_of(encapsulated(0, [b"abc", b"ef"], b"\0\0\0\0\x0b\0\0\0"))
    found = dataset(reader)
    assert found.endswith(
        b"\xfe\xff\x00\xe0\0\0\0\0"
        b"\xfe\xff\x00\xe0\x04\0\0\0abc\0"
        b"\xfe\xff\x00\xe0\x02\0\0\0ef"
        b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    assert len(found) == reader.dataset_length(0)
    assert bytes(reader.payload(0, 0)) == b"abc"


def test_fragments_are_served_in_their_own_syntax():
    reader = reader_of(encapsulated(0, [b"abcd"]))
    assert reader.codestream(0, 0).served_as == ServedAs(JPEG_BASELINE, None)
    assert bytes(reader.codestream(0, 0).data) == b"abcd"


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009, 0x7FE00010])
def test_the_pixel_element_may_be_float_or_double(tag):
    values = np.linspace(0, 1, 64).tobytes()
    pixel = PixelElement(tag, "OD", False, b"", None, [values])
    found = dataset(reader_of(RecordInstance("2.25.1", CT, EXPLICIT, b"", b"", pixel)))
    assert found == (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + (
        b"OD\0\0" + len(values).to_bytes(4, "little") + values
    )


def test_an_instance_becomes_a_file_that_others_read():
    frame = smooth(100, 90, "<u2")
    header = pydicom.Dataset()
    header.SOPClassUID, header.SOPInstanceUID = CT, "2.25.77"
    header.Rows, header.Columns, header.SamplesPerPixel = 100, 90, 1
    header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    written = io.BytesIO()
    pydicom.dcmwrite(written, header, implicit_vr=False, little_endian=True, enforce_file_format=False)
    instance = replace(native(0, frame), sop_instance_uid="2.25.77", before=written.getvalue())
    file = b"".join(map(bytes, part10(reader_of(instance), 0)))
    read = pydicom.dcmread(io.BytesIO(file))
    meta_group_end = 132 + 12 + read.file_meta.FileMetaInformationGroupLength
    assert file[meta_group_end : meta_group_end + 2] == b"\x08\x00"
    assert read.file_meta.MediaStorageSOPInstanceUID == "2.25.77"
    assert np.array_equal(read.pixel_array, frame)


@pytest.mark.parametrize(("instance", "number"), [(40, 0), (0, 1), (0, -1)])
def test_what_is_not_there_is_an_index_error(instance, number):
    with pytest.raises(IndexError):
        RecordReader(BufferSource(packed_bytes(*SERIES))).payload(instance, number)


def test_counting_from_the_end_means_the_same_everywhere():
    reader = reader_of(*SERIES)
    assert reader.before_after(-1) == reader.before_after(39)
    assert dataset(reader, -1) == dataset(reader, 39)
    assert reader.dataset_length(-1) == reader.dataset_length(39)


def test_sources_read_alike(tmp_path):
    data = packed_bytes(*SERIES[:2])
    path = tmp_path / "record.zip"
    path.write_bytes(data)
    with FileSource(path) as file:
        ranges = RangeSource(len(data), lambda start, length: data[start : start + length])
        for source in (file, ranges, BufferSource(data), BufferSource(bytearray(data))):
            assert source.size == len(data)
            assert bytes(source.read(5, 10)) == data[5:15]
            assert bytes(source.read(len(data) - 3, 10)) == data[-3:]
            assert_equal(RecordReader(source), SERIES[:2])


def test_a_source_that_gives_less_than_it_promised_is_damage():
    data = packed_bytes(*SERIES[:2])
    short = RangeSource(len(data), lambda start, length: data[start : start + length - 1])
    with pytest.raises(DamagedRecordError):
        RecordReader(short)
