import os

import pytest
import sqlalchemy as sa
import structlog

from dgis import tables
from dgis.cache.layout import BLOCK, SegmentHeader, pack_segment_header
from dgis.cache.log import Limits
from dgis.cache.segment import lock_for_writing
from tests.unit.dgis.cache.harness import body_of, known, locations, put

CACHE = (
    tables.cache_instance,
    tables.cache_conflict,
    tables.cache_segment,
    tables.cache_series,
    tables.publish_job,
)


def forget_index(house, *also):
    with house.engine.begin() as connection:
        for table in (*CACHE, *also):
            connection.execute(sa.delete(table))


def overwrite(house, location, offset, data):
    with house.log.files.path(location.segment_id).open("r+b") as file:
        file.seek(location.position + offset)
        file.write(data)


def test_what_was_stored_and_not_indexed_is_indexed_after_a_restart(house):
    house.store(*(body_of(n) for n in range(4)))
    house.restart()
    assert house.drain() == 4
    assert [house.read(f"1.2.3.{n}") for n in range(4)] == [[body_of(n)] for n in range(4)]


def test_what_was_indexed_is_not_read_again(house):
    house.store(*(body_of(n) for n in range(4)))
    house.drain()
    house.restart()
    assert house.drain() == 0
    assert len(house.rows(tables.cache_instance)) == 4


@pytest.mark.parametrize("with_catalog", [False, True])
def test_the_index_is_rebuilt_from_the_segments(house, with_catalog):
    house.store(*(body_of(n) for n in range(4)))
    house.store(b"other", uid="1.2.3.0")
    house.drain()
    forget_index(house, *([known] if with_catalog else []))
    house.restart()
    house.drain()
    assert [house.read(f"1.2.3.{n}") for n in range(4)] == [[body_of(n)] for n in range(4)]
    assert len(house.rows(tables.cache_conflict)) == 1
    (job,) = house.rows(tables.publish_job)
    assert job.pending_instances == 4


def test_a_rebuild_finds_its_way_past_evicted_instances(house):
    series = ["1", "2", "1", "2", "3"]
    writer = house.log.association()
    for number, name in enumerate(series):
        put(writer, house.meta(f"1.{number}", name), body_of(number, 150_000))
    writer.finish(released=True)
    house.drain()
    house.publish(series=2)
    assert house.evictor.evict().instances == 2
    forget_index(house, known)
    house.restart()
    house.drain()
    assert [bool(house.read(f"1.{n}")) for n in range(5)] == [True, False, True, False, True]


def test_a_database_from_yesterday_is_brought_up_to_date(house):
    house.store(body_of(1), uid="1.1")
    house.drain()
    (mark,) = house.rows(tables.cache_segment)
    house.store(body_of(2), uid="1.2")
    house.drain()
    with house.engine.begin() as connection:
        connection.execute(sa.update(tables.cache_segment).values(indexed_to=mark.indexed_to))
        connection.execute(
            sa.delete(tables.cache_instance).where(tables.cache_instance.c.sop_instance_uid == "1.2")
        )
        connection.execute(sa.delete(known).where(known.c.uid == "1.2"))
    house.restart()
    assert house.drain() == 1
    assert house.read("1.2") == [body_of(2)]


def test_reading_entries_a_second_time_changes_nothing(house):
    house.store(*(body_of(n) for n in range(3)))
    house.store(b"other", uid="1.2.3.0")
    house.drain()
    before = [house.rows(table) for table in CACHE]
    with house.engine.begin() as connection:
        connection.execute(sa.update(tables.cache_segment).values(indexed_to=BLOCK))
    house.restart()
    assert house.drain() == 4
    assert [house.rows(table) for table in CACHE] == before
    assert house.read("1.2.3.1") == [body_of(1)]


@pytest.mark.parametrize("harm", ["missing", "shorter", "another"])
def test_rows_of_bytes_that_are_gone_are_dropped_loudly_and_a_resend_heals(house, harm):
    stored = locations(house.store(*(body_of(n) for n in range(3))))
    house.drain()
    house.stop()
    path = house.log.files.path(stored[0].segment_id)
    if harm == "missing":
        path.unlink()
    elif harm == "shorter":
        os.truncate(path, stored[1].end - BLOCK)
    else:
        with path.open("r+b") as file:
            file.write(pack_segment_header(SegmentHeader(stored[0].segment_id, bytes(16), 1)))
    with structlog.testing.capture_logs() as logs:
        house._start()
        house.drain()
    kept = 1 if harm == "shorter" else 0
    assert len(house.rows(tables.cache_instance)) == kept
    assert [line for line in logs if line["log_level"] == "error"]
    house.store(*(body_of(n) for n in range(3)))
    house.drain()
    assert [house.read(f"1.2.3.{n}") for n in range(3)] == [[body_of(n)] for n in range(3)]


def test_a_segment_whose_header_rotted_is_read_by_what_the_index_knows(house):
    (first,) = locations(house.store(b"first", uid="1.1"))
    house.drain()
    house.store(b"second", uid="1.2")
    with house.log.files.path(first.segment_id).open("r+b") as file:
        file.write(bytes(BLOCK))
    house.restart()
    house.drain()
    assert (house.read("1.1"), house.read("1.2")) == ([b"first"], [b"second"])


def test_a_rotted_head_does_not_hide_what_lies_behind(house):
    stored = locations(house.store(*(body_of(n) for n in range(3))))
    overwrite(house, stored[1], 0, b"rot")
    house.restart()
    house.drain()
    assert [bool(house.read(f"1.2.3.{n}")) for n in range(3)] == [True, False, True]


def test_a_rotted_body_is_kept_apart_and_said(house):
    stored = locations(house.store(*(body_of(n) for n in range(3))))
    overwrite(house, stored[1], stored[1].data_offset, b"rot")
    house.restart()
    house.drain()
    assert [bool(house.read(f"1.2.3.{n}")) for n in range(3)] == [True, False, True]
    (row,) = house.rows(tables.cache_conflict)
    assert (row.kind, row.sop_instance_uid) == ("damaged", "1.2.3.1")


def test_what_is_no_entry_is_cut_off_the_tail(house):
    (location,) = locations(house.store(body_of(1)))
    house.stop()
    path = house.log.files.path(location.segment_id)
    with path.open("ab") as file:
        file.write(body_of(2, 50_000))
    house._start()
    house.drain()
    assert path.stat().st_size == location.end


def test_bytes_of_an_earlier_life_are_never_entries_of_the_next(house):
    bodies = [body_of(n, 200_000) for n in range(6)]
    (old, *_rest) = locations(house.store(*bodies, uid="1.1"))
    house.drain()
    house.publish()
    house.log.close()
    house.evictor.evict()
    assert house.log.files.spare_bytes() > 0
    house.restart()
    (new,) = locations(house.store(b"new life", uid="2.1"))
    path = house.log.files.path(new.segment_id)
    assert path.stat().st_size >= old.span * 5  # the old bytes are still behind the tail
    house.stop()
    os.truncate(path, path.stat().st_size)
    forget_index(house, known)
    # a crash: the file keeps its stale end, because nobody sealed it
    with path.open("r+b") as file:
        file.seek(new.end)
        file.write(body_of(3, 4096))
    house._start()
    house.drain()
    assert [row.sop_instance_uid for row in house.rows(tables.cache_instance)] == ["2.1"]


def test_a_segment_another_process_writes_is_left_to_it(house, tmp_path):
    (location,) = locations(house.store(b"theirs", uid="1.1"))
    house.stop()
    descriptor = os.open(house.log.files.path(location.segment_id), os.O_RDWR)
    assert lock_for_writing(descriptor)
    house._start()
    assert house.drain() == 0
    os.close(descriptor)
    house.restart()
    assert house.drain() == 1


def test_an_unused_segment_leaves_no_file(house):
    writer = house.log.association()
    writer.begin(house.meta()).abandon()
    writer.finish(released=True)
    house.stop()
    assert house.log.files.ids() == []


def test_remains_of_a_segment_in_the_making_are_cleared(house):
    spare = house.home / "cache" / "spare" / "000000000001-00000000.new"
    spare.write_bytes(b"half")
    house.restart()
    assert not spare.exists()


@pytest.mark.parametrize("indexed", [True, False])
def test_what_a_dead_writer_had_reserved_is_given_back(house, indexed):
    house.limits = Limits(max_bytes=1 << 30, free_floor_bytes=0, segment_bytes=64 << 20)
    house.restart()
    writer = house.log.association()
    location = put(writer, house.meta("1.1"), body_of(1)).location
    if indexed:
        house.drain()
    assert house.log.files.allocated_bytes(location.segment_id) > 10 << 20
    os.close(writer._segment._descriptor)  # the process is gone, nothing was sealed
    house.log.backlog.close()
    house._start()
    house.drain()
    assert house.log.files.allocated_bytes(location.segment_id) <= location.end + BLOCK
    assert house.read("1.1") == [body_of(1)]
