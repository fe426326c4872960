import os

import pytest
import sqlalchemy as sa

from dgis.cache import blocks, locks
from dgis.cache.files import made_ms
from dgis.cache.log import Limits
from dgis.cache.reclaim import Reclaimer
from dgis.cache.wipe import Wiper
from dgis.tables import cache_instance
from tests.unit.dgis.cache.harness import GATEWAY, House, body_of, locations, put

RECYCLING = Limits(1 << 30, 0, segment_bytes=1 << 20, max_spares=4)


@pytest.fixture
def recycling(tmp_path):
    house = House(tmp_path, RECYCLING)
    yield house
    house.close()


def wiper(house):
    return Wiper(house.log.files, house.engine, GATEWAY)


def on_disk(house):
    return b"".join(path.read_bytes() for path in (house.home / "cache").rglob("*") if path.is_file())


def forget(house, uid):
    with house.engine.begin() as connection:
        connection.execute(sa.delete(cache_instance).where(cache_instance.c.sop_instance_uid == uid))


def spare(house, *numbers):
    """Fill a segment, and have it put away whole; what was in it lies in the spare."""
    house.store(*(body_of(number, 300_000) for number in numbers), uid="9.9")
    house.drain()
    house.publish()
    house.restart()  # seals it
    house.drain()
    house.evictor.evict(None)
    assert house.log.files.spare_bytes()


def test_what_has_no_row_is_written_over_and_what_has_one_stays(house):
    house.store(*map(body_of, range(3)), uid="1.1")
    house.drain()
    forget(house, "1.1.1")
    assert body_of(1)[:64] in on_disk(house)
    assert wiper(house).wipe() == 0
    left = on_disk(house)
    assert body_of(1)[:64] not in left
    assert b"1.1.1" not in left  # nor its head
    assert house.read("1.1.0") == [body_of(0)]
    assert house.read("1.1.2") == [body_of(2)]


def test_it_is_written_over_where_no_holes_can_be_punched(house, monkeypatch):
    monkeypatch.setattr(blocks, "punch", lambda *_: False)
    house.store(*map(body_of, range(3)), uid="1.1")
    house.drain()
    forget(house, "1.1.0")
    assert wiper(house).wipe() == 0
    assert body_of(0)[:64] not in on_disk(house)
    assert wiper(house).wipe() == 0
    assert house.read("1.1.2") == [body_of(2)]


def test_what_is_being_read_is_told_and_its_neighbours_go(house):
    locations(house.store(body_of(0, 900_000), body_of(1, 900_000), uid="1.1"))
    house.drain()
    with house.engine.connect() as connection:
        (first,) = house.index.locate_uid(connection, "1.1.0")
    with house.index.open(first.location) as extent:
        forget(house, "1.1.0")
        forget(house, "1.1.1")
        in_use = wiper(house).wipe()
        assert 0 < in_use <= first.location.span + (1 << 20)
        assert extent.read(0, 900_000) == body_of(0, 900_000)
    assert wiper(house).wipe() == 0
    left = on_disk(house)
    assert body_of(0)[:64] not in left
    assert body_of(1)[:64] not in left


@pytest.mark.parametrize("use", ["wipe", "sweep", "free"])
def test_a_file_that_became_another_segment_is_left_alone(house, monkeypatch, use):
    """Between looking and locking, another process put the segment away, and a door took its file."""
    stored = locations(house.store(body_of(0), body_of(1), uid="1.1"))
    house.drain()
    house.log.retire(house.clock())
    house.drain()
    (path,) = (house.home / "cache" / "segments").iterdir()
    moved = path.with_name("018bcfe56800-00000000.seg")
    hold = locks.hold

    def taken(descriptor, start, length):
        if path.exists():
            path.rename(moved)
        return hold(descriptor, start, length)

    forget(house, "1.1.0")
    forget(house, "1.1.1") if use == "free" else None
    before = path.read_bytes()
    reclaimer = Reclaimer(house.log.files, house.engine, GATEWAY)
    with monkeypatch.context() as patched:
        patched.setattr(locks, "hold", taken)
        if use == "wipe":
            wiper(house).wipe()
        elif use == "sweep":
            reclaimer._sweep_segment(path.stem, stored[1].end)
        else:
            reclaimer.free(stored)
    assert moved.read_bytes() == before


def test_what_is_not_indexed_yet_is_never_touched(house):
    house.store(body_of(0), uid="1.1")
    house.drain()
    house.store(body_of(1), uid="1.2")
    forget(house, "1.1")
    wiper(house).wipe()
    house.drain()
    assert house.read("1.2") == [body_of(1)]


def test_spares_are_written_over_and_removed(recycling):
    spare(recycling, 1, 2, 3)
    assert body_of(2, 300_000)[:64] in on_disk(recycling)
    held = [os.open(path, os.O_RDONLY) for path in (recycling.home / "cache" / "spare").glob("*.spare")]
    assert wiper(recycling).wipe_spares() >= 900_000
    assert not list((recycling.home / "cache" / "spare").iterdir())
    for descriptor in held:  # the blocks themselves, not the name alone
        assert not os.pread(descriptor, 1 << 20, 0).strip(b"\0")
        os.close(descriptor)


def test_what_a_crash_left_of_it_is_finished(recycling):
    spare(recycling, 1, 2, 3)
    (path,) = (recycling.home / "cache" / "spare").glob("*.spare")
    path.rename(path.with_suffix(".wipe"))
    recycling.restart()
    assert wiper(recycling).wipe_spares()
    assert not list((recycling.home / "cache" / "spare").iterdir())


class TestRetire:
    """A segment over the blocks of an old file holds what was in it behind the last entry."""

    def test_an_idle_segment_ends_and_what_lies_behind_is_written_over(self, recycling):
        spare(recycling, 1, 2, 3)
        recycling.store(body_of(7), uid="2.1")
        recycling.drain()
        assert body_of(2, 300_000)[:64] in on_disk(recycling)
        assert not wiper(recycling).settled(recycling.clock())
        assert recycling.log.retire(recycling.clock()) == 0
        recycling.drain()
        assert wiper(recycling).settled(recycling.clock())
        assert body_of(2, 300_000)[:64] not in on_disk(recycling)
        assert recycling.read("2.1") == [body_of(7)]

    def test_blocks_are_written_over_before_they_are_given_back(self, recycling, monkeypatch):
        """Cutting a file frees its blocks as they are; what lies in them must be nothing by then."""
        spare(recycling, 1, 2, 3)
        recycling.store(body_of(7), uid="2.1")
        cut = []

        def truncate(descriptor, size):
            cut.append(os.pread(descriptor, 1 << 20, size))
            return real(descriptor, size)

        real = os.ftruncate
        monkeypatch.setattr(os, "ftruncate", truncate)
        recycling.log.retire(recycling.clock())
        (freed,) = cut
        assert len(freed) > 500_000
        assert not freed.strip(b"\0")

    def test_an_association_that_is_silent_is_not_waited_for(self, recycling):
        spare(recycling, 1, 2, 3)
        writer = recycling.log.association()
        recycling.store(body_of(7), uid="2.1", writer=writer)
        assert recycling.log.retire(recycling.clock()) == 0
        assert body_of(2, 300_000)[:64] not in on_disk(recycling)
        recycling.store(body_of(8), uid="2.2", writer=writer)
        writer.finish(released=True)
        recycling.drain()
        assert [recycling.read(uid) for uid in ("2.1", "2.2")] == [[body_of(7)], [body_of(8)]]

    def test_an_image_on_its_way_comes_first(self, recycling):
        spare(recycling, 1, 2, 3)
        writer = recycling.log.association()
        entry = writer.begin(recycling.meta("2.1"))
        entry.write(body_of(7))
        assert recycling.log.retire(recycling.clock()) == 1
        entry.commit()
        assert recycling.log.retire(recycling.clock()) == 0
        put(writer, recycling.meta("2.2"), body_of(8))
        writer.finish(released=True)
        recycling.drain()
        assert body_of(2, 300_000)[:64] not in on_disk(recycling)
        assert [recycling.read(uid) for uid in ("2.1", "2.2")] == [[body_of(7)], [body_of(8)]]

    def test_an_empty_segment_goes_with_its_old_blocks(self, recycling):
        spare(recycling, 1, 2, 3)
        writer = recycling.log.association()
        writer.begin(recycling.meta("2.1")).abandon()
        recycling.log.retire(recycling.clock())
        writer.finish(released=True)
        assert body_of(2, 300_000)[:64] not in on_disk(recycling)
        assert recycling.log.files.ids() == []

    def test_segments_made_later_go_on(self, recycling):
        recycling.store(body_of(7), uid="2.1")
        (segment_id,) = recycling.log.files.ids()
        assert recycling.log.retire(made_ms(segment_id) - 1) == 0
        recycling.store(body_of(8), uid="2.2")
        assert recycling.log.files.ids() == [segment_id]

    def test_a_segment_is_settled_once_it_is_ended_and_indexed(self, recycling):
        recycling.store(body_of(7), uid="2.1")
        now_ms = recycling.clock()
        assert not wiper(recycling).settled(now_ms)
        recycling.log.retire(now_ms)
        assert not wiper(recycling).settled(now_ms)  # not indexed
        recycling.drain()
        assert wiper(recycling).settled(now_ms)
