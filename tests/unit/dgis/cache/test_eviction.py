import errno

import pytest
import sqlalchemy as sa

from dgis import tables
from dgis.cache import blocks, reclaim
from dgis.cache.extent import EvictedError
from dgis.cache.log import Limits
from dgis.cache.status import status
from tests.unit.dgis.cache.harness import GATEWAY, House, body_of, locations, put


def series_of(house, number, count=3, length=300_000):
    """Store and index a series of its own."""
    bodies = [body_of((number, n), length) for n in range(count)]
    stored = locations(house.store(*bodies, uid=f"1.{number}", series=str(number)))
    house.drain()
    return stored


def present(house, number, count=3):
    return [bool(house.read(f"1.{number}.{n}")) for n in range(count)]


def allocated(house):
    return sum(house.log.files.allocated_bytes(each) for each in house.log.files.ids())


def test_only_what_is_published_goes(house):
    series_of(house, 1)
    series_of(house, 2)
    assert house.evictor.evict().instances == 0
    house.publish(series=1)
    assert house.evictor.evict().instances == 3
    assert (present(house, 1), present(house, 2)) == ([False] * 3, [True] * 3)


def test_a_late_unpublished_image_of_a_published_series_stays(house):
    series_of(house, 1)
    house.publish()
    house.store(b"late", uid="1.1.9", series="1")
    house.drain()
    house.evictor.evict()
    assert present(house, 1) == [False] * 3
    assert house.read("1.1.9") == [b"late"]
    house.publish()
    assert house.evictor.evict().instances == 1


def test_the_least_recently_used_series_goes_first_and_no_more_than_needed(house):
    for number in (1, 2, 3):
        series_of(house, number)
    house.publish()
    house.index.used(1, house.clock() + 1000)
    with house.engine.begin() as connection:
        house.index.write_used(connection)
    freed = house.evictor.evict(3 * 300_000)
    assert freed.instances == 3
    assert [present(house, n) for n in (1, 2, 3)] == [[True] * 3, [False] * 3, [True] * 3]


def test_the_blocks_really_come_back(house):
    series_of(house, 1)
    series_of(house, 2)
    house.log.close()
    before = allocated(house)
    house.publish(series=1)
    freed = house.evictor.evict().bytes
    assert freed >= 900_000
    assert allocated(house) <= before - freed + 64_000
    assert present(house, 2) == [True] * 3


def test_a_segment_nobody_needs_any_more_goes_whole(house):
    (first, *_rest) = series_of(house, 1, count=1)
    house.log.close()
    house.publish()
    house.evictor.evict()
    assert house.log.files.ids() == []
    assert house.rows(tables.cache_segment) == []
    assert not house.log.files.path(first.segment_id).exists()


def test_a_segment_that_is_written_stays_though_all_of_it_is_evicted(house):
    writer = house.log.association()
    first = put(writer, house.meta("1.1"), body_of(1))
    house.drain()
    house.publish()
    assert house.evictor.evict().instances == 1
    second = put(writer, house.meta("1.2"), b"goes on")
    writer.finish(released=True)
    house.drain()
    assert second.location.segment_id == first.location.segment_id
    assert house.read("1.2") == [b"goes on"]


def test_a_full_dead_segment_is_used_again(house):
    for number in range(2):
        series_of(house, number)
    house.publish()
    house.evictor.evict()
    assert house.log.files.spare_bytes() > 0
    series_of(house, 5)
    assert house.log.files.spare_bytes() == 0
    assert present(house, 5) == [True] * 3


def test_what_is_being_read_stays_and_goes_the_next_time(house):
    stored = series_of(house, 1)
    house.publish()
    with house.index.open(stored[1]) as extent:
        freed = house.evictor.evict()
        assert (freed.instances, freed.in_use) == (2, 1)
        extent.check()
    assert house.evictor.evict().instances == 1
    with pytest.raises(EvictedError), house.index.open(stored[1]):
        pass


def test_a_location_of_an_earlier_life_of_the_segment_is_refused(house):
    stored = series_of(house, 1, count=2)
    house.publish()
    house.evictor.evict()
    for location in stored:
        with pytest.raises(EvictedError), house.index.open(location):
            pass


def test_conflicts_are_never_evicted_before_an_operator_chose(house):
    house.store(b"first", uid="1.1")
    house.store(b"second", uid="1.1")
    house.drain()
    house.publish()
    house.evictor.evict()
    (row,) = house.rows(tables.cache_conflict)
    assert row.resolved_ms is None
    with house.engine.begin() as connection:
        connection.execute(sa.update(tables.cache_conflict).values(resolved_ms=1))
    assert house.evictor.evict().instances == 1
    assert house.rows(tables.cache_conflict) == []


def test_run_once_keeps_the_cache_between_its_marks(tmp_path):
    house = House(
        tmp_path, Limits(max_bytes=10 << 20, free_floor_bytes=0, segment_bytes=1 << 20, max_spares=0)
    )
    for number in range(10):
        series_of(house, number)
        house.publish()
        assert house.evictor.run_once().instances == 0 or number == 9
        house.log.space.forget()
    series_of(house, 10)
    house.log.space.forget()
    house.evictor.run_once()
    assert house.log.space.used_bytes() < 0.85 * (10 << 20)
    assert present(house, 10) == [True] * 3
    house.close()


def test_bytes_without_rows_are_swept_at_the_next_start(house):
    series_of(house, 1, count=8, length=200_000)
    house.log.close()
    before = allocated(house)
    with house.engine.begin() as connection:  # as after a crash between rows and bytes
        rows = tables.cache_instance.c.sop_instance_uid.in_([f"1.1.{n}" for n in range(6)])
        connection.execute(sa.delete(tables.cache_instance).where(rows))
    house.restart()
    house.drain()
    assert allocated(house) < before - 1_000_000
    assert present(house, 1, 8) == [False] * 6 + [True] * 2


def test_a_sweep_reads_the_rows_of_segments_with_something_to_free_and_of_no_other(house, monkeypatch):
    for number in range(1, 4):
        series_of(house, number, count=8, length=200_000)
        house.log.close()
        house.restart()
    with house.engine.begin() as connection:  # as after a crash between rows and bytes
        of_uid = tables.cache_instance.c.sop_instance_uid
        gone = connection.scalar(sa.select(tables.cache_instance.c.segment_id).where(of_uid == "1.2.1"))
        connection.execute(sa.delete(tables.cache_instance).where(of_uid.in_(["1.2.1", "1.2.2"])))
    read, extents = [], reclaim.extents
    monkeypatch.setattr(reclaim, "extents", lambda *given: read.append(given[1]) or extents(*given))
    monkeypatch.setattr(reclaim, "_SLACK_BYTES", 300_000)
    before = allocated(house)
    house.restart()
    house.drain()
    assert len(house.log.files.ids()) > 3
    assert read == [gone]
    assert allocated(house) < before - 300_000


def test_where_holes_cannot_be_punched_live_entries_move_on(house, monkeypatch):
    monkeypatch.setattr(blocks, "_fallocate", lambda *_: False)
    for number in range(4):
        series_of(house, number, count=2, length=240_000)
    house.store(b"first", uid="7.7")
    house.store(b"second", uid="7.7")
    house.drain()
    house.log.close()
    house.publish()
    with house.engine.begin() as connection:
        connection.execute(
            sa.update(tables.cache_instance)
            .where(tables.cache_instance.c.phi_series_id == 2)
            .values(published=False)
        )
    before = allocated(house)
    house.evictor.evict()
    assert allocated(house) < before
    assert present(house, 2, 2) == [True] * 2
    (row,) = house.rows(tables.cache_conflict)
    house.restart()
    house.drain()
    assert present(house, 2, 2) == [True] * 2
    assert house.rows(tables.cache_conflict) == [row]


def test_an_error_of_the_disk_while_freeing_is_not_hidden(house, monkeypatch):
    series_of(house, 1)
    series_of(house, 2)
    house.publish(series=1)

    def fails(*_arguments):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(reclaim.blocks, "punch", fails)
    with pytest.raises(OSError, match="input/output"):
        house.evictor.evict()
    assert present(house, 2) == [True] * 3


def test_status_counts_what_lies_there(house):
    series_of(house, 1)
    series_of(house, 2)
    house.store(b"other", uid="1.1.0")
    house.drain()
    house.publish(series=1)
    house.store(b"not yet indexed", uid="1.9")
    with house.engine.connect() as connection:
        seen = status(connection, house.log.files, house.log.space, GATEWAY)
    assert (seen.instances, seen.published_instances, seen.conflicts) == (6, 3, 1)
    assert (seen.series_pending, seen.unindexed_instances) == (2, 1)
    assert seen.instance_bytes == 6 * 300_000
    assert seen.instance_bytes < seen.used_bytes <= seen.max_bytes
