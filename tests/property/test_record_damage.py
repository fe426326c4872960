"""Whatever happens to a record: the bytes that were packed, or a refusal. Nothing else, and within bounds."""

import contextlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_nodes.record.errors import RecordError
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.verify import verify_record
from tests.unit.storage_nodes.record.builders import (
    encapsulated,
    native,
    packed_bytes,
    smooth,
    without_pixels,
)
from tests.unit.storage_nodes.record.forge import forged, tables_of, take_apart, with_tables

RECORD = packed_bytes(
    native(0, smooth(64, 48), smooth(64, 48, seed=1)),
    without_pixels(1, size=500),
    encapsulated(2, [b"\xff\xd8\xff\xd9", b"abc"], b"\0\0\0\0"),
    native(3, smooth(40, 40, "<f4")),
    native(4, smooth(300, 20, "<u2")),
)
MOST_BYTES = 8 << 20


def read_all(data):
    reader = RecordReader(BufferSource(data))
    return [b"".join(map(bytes, reader.dataset(n))) for n in range(len(reader.instances))]


WHOLE = read_all(RECORD)


@st.composite
def damaged(draw, data):
    """The bytes after a few accidents."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["overwrite", "cut", "insert", "remove", "zero", "repeat"]))
        at = draw(st.integers(0, max(0, len(changed) - 1)))
        length = draw(st.integers(1, 64))
        if kind == "overwrite":
            changed[at : at + length] = draw(st.binary(min_size=length, max_size=length))
        elif kind == "cut":
            del changed[at:]
        elif kind == "insert":
            changed[at:at] = draw(st.binary(min_size=length, max_size=length))
        elif kind == "remove":
            del changed[at : at + length]
        elif kind == "zero":
            changed[at : at + length] = bytes(len(changed[at : at + length]))
        else:
            changed[at:at] = changed[at : at + length]
    return bytes(changed)


@pytest.fixture(scope="module", autouse=True)
def memory_is_watched():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def within_bounds(action):
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    with contextlib.suppress(RecordError):
        action()
    assert tracemalloc.get_traced_memory()[1] - before < MOST_BYTES


@settings(deadline=None, max_examples=300)
@given(damaged(RECORD))
def test_a_damaged_record_gives_what_was_packed_or_nothing(data):
    def look():
        assert read_all(data) == WHOLE

    within_bounds(look)
    within_bounds(lambda: verify_record(BufferSource(data)))
    if data != RECORD:
        with contextlib.suppress(RecordError):
            assert not verify_record(BufferSource(data)).whole


TABLES = tables_of(take_apart(RECORD).index)


@settings(deadline=None, max_examples=300)
@given(damaged(TABLES))
def test_false_tables_with_right_digests_stay_within_bounds(tables):
    def change(parts):
        parts.index = with_tables(parts.index, tables)

    data = forged(RECORD, change)
    within_bounds(lambda: read_all(data))
    within_bounds(lambda: verify_record(BufferSource(data)))


@settings(deadline=None, max_examples=200)
@given(damaged(take_apart(RECORD).index))
def test_a_false_index_with_a_right_digest_stays_within_bounds(index):
    def change(parts):
        parts.index = index

    data = forged(RECORD, change)
    within_bounds(lambda: read_all(data))
