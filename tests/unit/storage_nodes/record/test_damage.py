import contextlib
import struct
import tracemalloc
import zlib
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import zstandard

from storage_nodes.record import skeleton
from storage_nodes.record.codecs import htj2k
from storage_nodes.record.errors import (
    DamagedRecordError,
    RecordError,
    RecordTooLargeError,
    UnsupportedRecordError,
)
from storage_nodes.record.limits import Limits
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.tables import encode_tables
from storage_nodes.record.values import Extent
from storage_nodes.record.verify import verify_record
from tests.unit.storage_nodes.record.builders import (
    encapsulated,
    native,
    pack,
    packed_bytes,
    smooth,
    without_pixels,
)
from tests.unit.storage_nodes.record.forge import HEAD, forged, tables_of, with_tables

MIXED = [
    native(0, smooth(64, 48), smooth(64, 48, seed=1)),
    without_pixels(1),
    encapsulated(2, [b"\xff\xd8\xff\xd9", b"abcd"]),
    native(3, smooth(128, 128, "<f4")),
]
RECORD = packed_bytes(*MIXED)


def read_all(data, **options):
    reader = RecordReader(BufferSource(data), **options)
    return [b"".join(map(bytes, reader.dataset(n))) for n in range(len(reader.instances))]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def test_no_flipped_bit_gives_other_bytes():
    whole = read_all(RECORD)
    for at in range(0, len(RECORD), 11):
        with contextlib.suppress(RecordError):
            assert read_all(flipped(RECORD, at)) == whole


def test_a_whole_look_finds_every_flipped_bit():
    small = packed_bytes(without_pixels(0), encapsulated(1, [b"ab"]))
    assert verify_record(BufferSource(small)).whole
    for at in range(len(small)):
        assert not verify_record(BufferSource(flipped(small, at))).whole, at


@pytest.mark.parametrize("length", [0, 1, 57, 58, 400, len(RECORD) - 1])
def test_a_cut_record_does_not_open(length):
    with pytest.raises(DamagedRecordError):
        RecordReader(BufferSource(RECORD[:length]))


def test_bytes_behind_a_record_are_damage():
    with pytest.raises(DamagedRecordError):
        RecordReader(BufferSource(RECORD + b"\0"))


def test_nothing_is_decoded_whose_digest_does_not_match(monkeypatch):
    layout = pack(*MIXED).layout
    damaged = flipped(RECORD, layout.frames.start + 200)

    def must_not_run(*_, **__):
        raise AssertionError("the decoder ran on damaged bytes")

    monkeypatch.setattr(htj2k, "_htj2k_decode", must_not_run)
    with pytest.raises(DamagedRecordError):
        RecordReader(BufferSource(damaged)).payload(0, 0)


def test_damage_of_one_frame_leaves_the_others_readable_and_is_named():
    layout = pack(*MIXED).layout
    damaged = flipped(RECORD, layout.frames.start + 200)
    reader = RecordReader(BufferSource(damaged))
    assert bytes(reader.payload(0, 1)) == bytes(MIXED[0].pixel.payloads[1])
    report = verify_record(BufferSource(damaged))
    assert [(found.entry, found.number) for found in report.problems] == [
        ("frames", 0),
        ("zip", None),
        ("zip", None),
    ]
    assert not report.whole


def test_a_row_s_layout_refuses_another_record_though_it_is_whole():
    others = [replace(MIXED[0], before=b"X" * len(MIXED[0].before)), *MIXED[1:]]
    theirs = packed_bytes(*others)
    read_all(theirs)
    with pytest.raises(DamagedRecordError):
        RecordReader(BufferSource(theirs), pack(*MIXED).layout)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 1},
        {"index": Extent(0, 10)},
        {"headers": Extent(10**12, 10)},
        {"frames": Extent(-5, 10)},
        {"index": Extent(90, -1)},
        {"index_sha256": bytes(32)},
    ],
)
def test_a_layout_that_does_not_fit_is_refused(change):
    with pytest.raises(DamagedRecordError):
        RecordReader(BufferSource(RECORD), replace(pack(*MIXED).layout, **change))


def test_later_versions_are_told_from_damage():
    def next_version(parts):
        parts.manifest["version"] = 2

    with pytest.raises(UnsupportedRecordError):
        read_all(forged(RECORD, next_version))

    def next_index(parts):
        parts.index = parts.index[:4] + b"\x02\0" + parts.index[6:]

    with pytest.raises(UnsupportedRecordError):
        read_all(forged(RECORD, next_index))
    with pytest.raises(UnsupportedRecordError):
        verify_record(BufferSource(forged(RECORD, next_version)))


MANIFEST_LIES = {
    "more instances": {"instances": 5},
    "fewer payloads": {"payloads": 0},
    "negative": {"instances": -1},
    "not a number": {"payloads": "2"},
    "a boolean": {"payloads": True},
    "another format": {"format": "zip"},
    "version 0": {"version": 0},
    "no version": {"version": None},
    "a key with a slash": {"key": "../x"},
    "an unknown word": {"extra": 1},
    "a writer of numbers": {"writer": {"zstd": 1}},
    "no writer": {"writer": []},
    "about a list": {"about": [1]},
}


@pytest.mark.parametrize("lie", MANIFEST_LIES.values(), ids=MANIFEST_LIES.keys())
def test_a_manifest_that_lies_is_damage(lie):
    with pytest.raises(DamagedRecordError):
        read_all(forged(RECORD, lambda parts: parts.manifest.update(lie)))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"[" * 100_000, b"1" * 5000, b"NaN", b"\xff", b'{"format":1}']
)
def test_a_manifest_that_is_none_is_damage(text):
    content = skeleton.Content(len(text), zlib.crc32(text))
    with pytest.raises(DamagedRecordError):
        RecordReader(BufferSource(skeleton.local_header("manifest", content) + text))


def index_lie(**changes):
    """An index whose fields, by dotted name, say something else."""

    def change(parts):
        reader = RecordReader(BufferSource(RECORD))
        index = reader.index
        columns = {name: column.copy() for name, column in index.payloads.columns.items()}
        for name, value in changes.get("payload", {}).items():
            columns[name][0] = value
        index = replace(
            index,
            instances=[replace(index.instances[0], **changes.get("instance", {})), *index.instances[1:]],
            blocks=[replace(index.blocks[0], **changes.get("block", {}))],
            payloads=replace(index.payloads, columns=columns),
        )
        parts.index = with_tables(parts.index, encode_tables(index))

    return change


ELEMENT = RecordReader(BufferSource(RECORD)).instances[0].element
INDEX_LIES = {
    "codec": {"payload": {"codec": 3}},
    "flag": {"payload": {"flags": 8}},
    "flag without its other": {"payload": {"flags": 2}},
    "codec of a fragment": {"instance": {"element": replace(ELEMENT, encapsulated=True, layout=None)}},
    "raw with two lengths": {"payload": {"codec": 0}},
    "flags without codestream": {"payload": {"codec": 1}},
    "longer frame": {"payload": {"stored_bytes": 0xFFFFFFFF}},
    "shorter frame": {"payload": {"stored_bytes": 10}},
    "expansion": {"payload": {"decoded_bytes": 10}},
    "other rows": {"instance": {"element": replace(ELEMENT, layout=replace(ELEMENT.layout, rows=65535))}},
    "no layout": {"instance": {"element": replace(ELEMENT, layout=None)}},
    "fewer payloads": {"instance": {"payloads": 1}},
    "more payloads": {"instance": {"payloads": 0xFFFFFFFF}},
    "longer header": {"instance": {"before_bytes": 0xFFFFFFFF}},
    "offset table": {"instance": {"offset_table_bytes": 1, "after_bytes": 0}},
    "no element": {"instance": {"element": None}},
    "instance twice": {"instance": {"sop_instance_uid": "2.25.2"}},
    "syntax": {"instance": {"transfer_syntax": "1.2.840.10008.1.2"}},
    "no instances in the block": {"block": {"instances": 0}},
    "more instances in the block": {"block": {"instances": 0xFFFFFFFF}},
    "shorter block": {"block": {"stored_bytes": 1}},
    "block inflates to more": {"block": {"inflated_bytes": 1 << 20}},
}


@pytest.mark.parametrize("lie", INDEX_LIES.values(), ids=INDEX_LIES.keys())
def test_an_index_that_lies_with_all_digests_right_is_refused(lie):
    with pytest.raises(RecordError):
        read_all(forged(RECORD, index_lie(**lie)))


def test_the_forger_of_these_tests_can_also_tell_the_truth():
    assert read_all(forged(RECORD, index_lie())) == read_all(RECORD)


@pytest.mark.parametrize(
    "counts", [(0xFFFFFFFF, 6, 1), (4, 0xFFFFFFFF, 1), (4, 6, 0xFFFFFFFF), (0, 0, 0), (5, 5, 1)]
)
def test_counts_that_the_bytes_do_not_bear_out_are_refused(counts):
    def change(parts):
        parts.index = parts.index[:8] + struct.pack("<LLL", *counts) + parts.index[20:]

    with pytest.raises(RecordError):
        read_all(forged(RECORD, change))


@pytest.mark.parametrize(
    "lie",
    [
        {"rows": 47, "columns": 65},
        {"bits_allocated": 8, "columns": 96},
        {"signed": False},
        {"samples": 3, "rows": 16},
    ],
)
def test_a_codestream_of_another_shape_is_refused_before_it_is_decoded(lie, monkeypatch):
    layout = replace(ELEMENT.layout, **lie)
    change = index_lie(
        instance={"element": replace(ELEMENT, layout=layout)},
        payload={"decoded_bytes": layout.frame_bits // 8},
    )
    data = forged(RECORD, change)
    monkeypatch.setattr(htj2k, "_htj2k_decode", lambda *_, **__: pytest.fail("the decoder ran"))
    with pytest.raises(DamagedRecordError):
        RecordReader(BufferSource(data)).payload(0, 0)


def test_a_decoder_that_errs_is_found_out(monkeypatch):
    honest = htj2k._htj2k_decode
    monkeypatch.setattr(htj2k, "_htj2k_decode", lambda *args, **options: honest(*args, **options) + 1)
    with pytest.raises(DamagedRecordError):
        RecordReader(BufferSource(RECORD)).payload(0, 0)


def zeros(length: int) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1).compressobj(size=length)
    block = bytes(1 << 20)
    return b"".join(compressor.compress(block) for _ in range(length >> 20)) + compressor.flush()


def peak_bytes(action) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def header_bomb(length: int, frame: bytes):
    def change(parts):
        reader = RecordReader(BufferSource(RECORD))
        index = reader.index
        grown = length - sum(entry.header_bytes for entry in index.instances[1:])
        index = replace(
            index,
            instances=[replace(index.instances[0], before_bytes=grown), *index.instances[1:]],
            blocks=[replace(index.blocks[0], inflated_bytes=length, stored_bytes=len(frame))],
        )
        parts.headers = frame
        forged_index = with_tables(parts.index, encode_tables(index))
        digests = len(forged_index) - 32 * len(index.payloads) - 32
        parts.index = forged_index[:digests] + sha256(frame).digest() + forged_index[digests + 32 :]

    return change


def test_a_header_bomb_is_refused_before_it_inflates():
    bomb = forged(RECORD, header_bomb(200 << 20, zeros(200 << 20)))

    def attempt():
        with pytest.raises(RecordTooLargeError):
            read_all(bomb)

    assert peak_bytes(attempt) < 4 << 20


def test_a_frame_that_states_more_than_the_index_is_not_inflated():
    bomb = forged(RECORD, header_bomb(1 << 20, zeros(200 << 20)))

    def attempt():
        with pytest.raises(DamagedRecordError):
            read_all(bomb)

    assert peak_bytes(attempt) < 4 << 20


def test_an_index_bomb_is_refused_before_it_inflates():
    frame = zeros(200 << 20)

    def change(parts):
        packed = HEAD.unpack_from(parts.index)[-1]
        head = parts.index[:20] + struct.pack("<LL", 200 << 20, len(frame))
        parts.index = head + frame + parts.index[HEAD.size + packed :]

    bomb = forged(RECORD, change)

    def attempt():
        with pytest.raises(DamagedRecordError):
            read_all(bomb)

    assert peak_bytes(attempt) < 4 << 20


def test_a_reader_may_be_told_to_take_less():
    with pytest.raises(RecordTooLargeError):
        read_all(RECORD, limits=Limits(payload_bytes=1000))
    with pytest.raises(RecordTooLargeError):
        read_all(RECORD, limits=Limits(header_block_bytes=10))


def test_tables_are_read_to_their_end_and_no_further():
    for tables in (tables_of(pack_index())[:-1], tables_of(pack_index()) + b"\0"):

        def change(parts, tables=tables):
            parts.index = with_tables(parts.index, tables)

        with pytest.raises(DamagedRecordError):
            read_all(forged(RECORD, change))


def pack_index() -> bytes:
    extent = pack(*MIXED).layout.index
    return RECORD[extent.start : extent.end]


def test_the_structure_is_compared_not_interpreted():
    at = skeleton.extents((0, 0, 0, 0))[1] - skeleton.TRAILER_BYTES
    assert at > 0
    name = RECORD.rindex(b"frames")
    renamed = RECORD[:name] + b"frame5" + RECORD[name + 6 :]
    report = verify_record(BufferSource(renamed))
    assert [found.entry for found in report.problems] == ["zip"]


def test_numbers_of_a_report_are_those_of_the_record():
    packed = pack(*MIXED)
    report = verify_record(BufferSource(RECORD), packed.layout)
    assert report.whole
    assert report.sha256 == packed.sha256
    assert report.summary == packed.summary
    assert report.summary.raw_bytes == sum(
        len(i.before) + sum(map(len, i.pixel.payloads) if i.pixel else ()) for i in MIXED
    )


def test_what_does_not_open_is_reported_not_raised():
    report = verify_record(BufferSource(b"PK\x03\x04 but no record"))
    assert (report.whole, report.sha256, report.problems[0].entry) == (False, None, "record")


def test_memory_stays_within_a_frame_while_a_large_record_is_verified():
    many = packed_bytes(
        *(native(n, np.random.default_rng(n).integers(0, 4096, (512, 512), "u2")) for n in range(40))
    )
    assert len(many) > 12 << 20
    assert peak_bytes(lambda: verify_record(BufferSource(many))) < 8 << 20
