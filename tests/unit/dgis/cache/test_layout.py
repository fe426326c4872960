"""Frozen bytes of version 1 (dgis/cache/FORMAT.md): what was written once is read for ever."""

import os
from zlib import crc32

import pytest

from dgis.cache.layout import (
    BLOCK,
    MAX_META_BYTES,
    EntryHeader,
    SegmentHeader,
    pack_entry_head,
    pack_meta,
    pack_segment_header,
    unpack_entry_header,
    unpack_meta,
    unpack_segment_header,
    whole_blocks,
)
from dgis.cache.scan import Condition, Stretch, entries
from dgis.cache.values import StoreMeta
from tests.unit.dgis.cache.harness import meta

EPOCH = bytes(range(16))
SEGMENT = bytes.fromhex(
    "444749535345473101000000000102030405060708090a0b0c0d0e0f"
    "3031386263666535363830302d303030303030306100000000000000000000000068e5cf8b010000"
)
META = (
    b'{"assertions":{"user":"pacs"},"association":"a1","called_ae":"DGIS","calling_ae":"SENDER",'
    b'"peer_address":"127.0.0.1","received_ms":1700000000001,"sop_class_uid":"1.2.840.10008.5.1.4.1.1.2",'
    b'"sop_instance_uid":"1.2.3","transfer_syntax":"1.2.840.10008.1.2.1"}'
)
ENTRY = bytes.fromhex(
    "44474953454e5431000102030405060708090a0b0c0d0e0f00000000000000000010000000000000"
    "04000000000000000001000088d4266fd4e6338d13b845fcf289579d209c897823b9217da3e16193"
    "6f0315895c9202a800000000"
)


def test_the_frozen_segment_is_read():
    header = unpack_segment_header((SEGMENT + crc32(SEGMENT).to_bytes(4, "little")).ljust(BLOCK, b"\0"))
    assert header == SegmentHeader("018bcfe56800-0000000a", EPOCH, 1_700_000_000_000)
    assert pack_segment_header(header)[:68] == SEGMENT


def test_the_frozen_entry_is_read(tmp_path):
    path = tmp_path / "segment"
    head = ENTRY + crc32(ENTRY).to_bytes(4, "little") + META + b"abcd"
    path.write_bytes(bytes(BLOCK) + head.ljust(BLOCK, b"\0"))
    descriptor = os.open(path, os.O_RDONLY)
    (found,) = entries(descriptor, Stretch("s", EPOCH, BLOCK, 2 * BLOCK), verify=True)
    os.close(descriptor)
    assert found.condition is Condition.WHOLE
    assert (found.meta.sop_instance_uid, found.meta.received_ms) == ("1.2.3", 1_700_000_000_001)
    assert (found.location.length, found.location.data_offset) == (4, 96 + len(META))


def test_today_the_same_bytes_are_written():
    about = StoreMeta(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.3",
        transfer_syntax="1.2.840.10008.1.2.1",
        calling_ae="SENDER",
        called_ae="DGIS",
        peer_address="127.0.0.1",
        received_ms=1_700_000_000_001,
        assertions={"user": "pacs"},
    )
    assert pack_meta(about, "a1") == META
    header = unpack_entry_header(ENTRY + crc32(ENTRY).to_bytes(4, "little"), epoch=EPOCH, position=BLOCK)
    assert pack_entry_head(header, b"")[:92] == ENTRY


@pytest.mark.parametrize("at", [0, 8, 12, 28, 60, 68])
def test_a_harmed_segment_header_is_none(at):
    block = bytearray(pack_segment_header(SegmentHeader("018bcfe56800-0000000a", EPOCH, 1)))
    block[at] ^= 0x40
    assert unpack_segment_header(bytes(block)) is None


@pytest.mark.parametrize("block", [b"", b"DGISSEG1", bytes(BLOCK)])
def test_what_is_too_short_or_empty_is_no_header(block):
    assert unpack_segment_header(block) is None
    assert unpack_entry_header(block, epoch=EPOCH, position=0) is None


def test_an_entry_of_another_epoch_or_place_is_none():
    header = EntryHeader(EPOCH, 3, 8192, 10, 0, bytes(32), 0)
    packed = pack_entry_head(header, b"")
    assert unpack_entry_header(packed, epoch=EPOCH, position=8192) == header
    assert unpack_entry_header(packed, epoch=EPOCH, position=4096) is None
    assert unpack_entry_header(packed, epoch=bytes(16), position=8192) is None


def test_meta_of_a_newer_version_is_read():
    assert unpack_meta(b'{"sop_instance_uid":"1.2","from_the_future":7}').sop_instance_uid == "1.2"


def test_meta_has_a_limit():
    with pytest.raises(ValueError, match=str(MAX_META_BYTES)):
        pack_meta(meta("1" * MAX_META_BYTES))


@pytest.mark.parametrize(("count", "rounded"), [(0, 0), (1, BLOCK), (BLOCK, BLOCK), (BLOCK + 1, 2 * BLOCK)])
def test_blocks_are_whole(count, rounded):
    assert whole_blocks(count) == rounded
