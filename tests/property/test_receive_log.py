"""Crashes at any byte: what was committed before it is found, and nothing else ever is."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgis.cache.layout import (
    BLOCK,
    ENTRY_FIXED_BYTES,
    SEGMENT_HEADER_BYTES,
    EntryHeader,
    pack_entry_head,
    pack_meta,
    unpack_entry_header,
    unpack_meta,
)
from dgis.cache.log import Limits, ReceiveLog
from dgis.cache.scan import Condition, Stretch, entries
from tests.unit.dgis.cache.harness import body_of, meta, put

LENGTHS = st.one_of(st.integers(0, 300), st.integers(3000, 5000), st.integers(8000, 40_000))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Written:
    """A segment with committed and abandoned entries, as bytes."""

    def __init__(self, lengths, abandoned):
        home = Path(tempfile.mkdtemp())
        try:
            log = ReceiveLog.open(home, Limits(max_bytes=1 << 30, free_floor_bytes=0, segment_bytes=1 << 30))
            writer = log.association()
            self.locations = []
            for number, length in enumerate(lengths):
                if number in abandoned:
                    entry = writer.begin(meta(f"0.{number}"))
                    entry.write(body_of(number, length))
                    entry.abandon()
                self.locations.append(put(writer, meta(f"1.{number}"), body_of(number, length)).location)
            (segment_id,) = log.files.ids()
            self.data = log.files.path(segment_id).read_bytes()
            writer.finish(released=True)
            log.close()
            log.backlog.close()
        finally:
            shutil.rmtree(home)

    def intact(self, data):
        """The entries whose every byte still stands."""
        return [
            each
            for each in self.locations
            if len(data) >= each.end
            and data[each.position : each.position + each.data_offset + each.length]
            == self.data[each.position : each.position + each.data_offset + each.length]
        ]

    def recovered(self, data):
        epoch, segment_id = self.locations[0].epoch, self.locations[0].segment_id
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            stretch = Stretch(segment_id, epoch, SEGMENT_HEADER_BYTES, len(data))
            found = list(entries(file.fileno(), stretch, verify=True))
        return [each.location for each in found if each.condition is Condition.WHOLE]


written = st.builds(
    Written, st.lists(LENGTHS, min_size=1, max_size=6), st.sets(st.integers(0, 5), max_size=3)
)


@QUICK
@given(written, st.data())
def test_a_tail_cut_off_at_any_byte_leaves_the_committed_prefix(log, data):
    cut = data.draw(st.integers(SEGMENT_HEADER_BYTES, len(log.data)))
    left = log.data[:cut]
    assert log.recovered(left) == [each for each in log.locations if each.end <= cut] == log.intact(left)


@QUICK
@given(written, st.data())
def test_a_tail_of_zeros_from_any_byte_leaves_the_committed_prefix(log, data):
    cut = data.draw(st.integers(SEGMENT_HEADER_BYTES, len(log.data)))
    left = log.data[:cut] + bytes(len(log.data) - cut)
    found = log.recovered(left)
    assert found == log.intact(left)
    assert found == log.locations[: len(found)]


@QUICK
@given(written, st.binary(min_size=1, max_size=9000), st.data())
def test_garbage_anywhere_harms_what_it_hits_and_nothing_else(log, garbage, data):
    at = data.draw(st.integers(SEGMENT_HEADER_BYTES, len(log.data) - 1))
    left = (log.data[:at] + garbage + log.data[at + len(garbage) :])[: len(log.data)]
    assert log.recovered(left) == log.intact(left)


@QUICK
@given(written, st.data())
def test_blocks_written_out_of_order_are_no_entry(log, data):
    """A power cut keeps any subset of the blocks of the last entry, which nobody was told of."""
    last = log.locations[-1]
    blocks = list(range(last.position, last.end, BLOCK))
    kept = data.draw(st.sets(st.sampled_from(blocks)))
    left = bytearray(log.data)
    for block in set(blocks) - kept:
        left[block : block + BLOCK] = bytes(BLOCK)
    assert log.recovered(bytes(left)) == log.intact(bytes(left))


@QUICK
@given(written, written)
def test_a_segment_inside_a_data_set_is_just_bytes(log, other):
    """A data set may hold anything, even a copy of a segment, even of this one's earlier entries."""
    home = Path(tempfile.mkdtemp())
    try:
        receive = ReceiveLog.open(home, Limits(max_bytes=1 << 30, free_floor_bytes=0, segment_bytes=1 << 30))
        writer = receive.association()
        first = put(writer, meta("1.1"), log.data).location
        path = receive.files.path(first.segment_id)
        copy = path.read_bytes()[first.position : first.end]
        padding = bytes(-(first.end + first.data_offset) % BLOCK)  # so that the copy begins on a block
        second = put(writer, meta("1.2"), padding + copy + other.data).location
        data = path.read_bytes()
        os.truncate(path, len(data))
        with path.open("r+b") as file:  # the second's head rots: its body is searched for an entry
            file.seek(second.position)
            file.write(bytes(8))
            file.flush()
            stretch = Stretch(first.segment_id, first.epoch, SEGMENT_HEADER_BYTES, len(data))
            found = [each.location for each in entries(file.fileno(), stretch, verify=True)]
        writer.finish(released=True)
        receive.close()
        receive.backlog.close()
    finally:
        shutil.rmtree(home)
    assert found == [first]


HEADERS = st.builds(
    EntryHeader,
    epoch=st.binary(min_size=16, max_size=16),
    sequence=st.integers(0, 2**64 - 1),
    position=st.integers(0, 2**64 - 1),
    length=st.integers(0, 2**64 - 1),
    meta_length=st.integers(0, 65536),
    sha256=st.binary(min_size=32, max_size=32),
    meta_crc=st.integers(0, 2**32 - 1),
)


@given(HEADERS, st.integers(0, ENTRY_FIXED_BYTES * 8 - 1))
def test_a_header_comes_back_and_no_flipped_bit_passes(header, bit):
    packed = bytearray(pack_entry_head(header, b""))
    assert unpack_entry_header(bytes(packed), epoch=header.epoch, position=header.position) == header
    packed[bit // 8] ^= 1 << bit % 8
    assert unpack_entry_header(bytes(packed), epoch=header.epoch, position=header.position) is None


@given(
    st.text(max_size=64),
    st.text(max_size=16),
    st.integers(0, 2**53),
    st.dictionaries(st.text(), st.text(), max_size=4),
)
def test_any_meta_comes_back(uid, title, received_ms, assertions):
    about = meta(uid, title, received_ms)
    about = type(about)(
        **{**{name: getattr(about, name) for name in about.__slots__}, "assertions": assertions}
    )
    back = unpack_meta(pack_meta(about))
    assert (back.sop_instance_uid, back.received_ms, back.assertions) == (uid, received_ms, assertions)


def test_digests_are_of_the_data_set_alone():
    log = Written([5000], set())
    (location,) = log.locations
    start = location.position + location.data_offset
    assert hashlib.sha256(log.data[start : start + 5000]).digest() == location.sha256
