import pytest

from dgis import tables
from dgis.cache.conflicts import Conflicts, Kept, NotKept
from dgis.cache.verdicts import Choice, Kind
from tests.unit.dgis.cache.harness import House, known, replace


@pytest.fixture
def disputed(house):
    house.store(b"first", uid="1.1")
    house.store(b"second", uid="1.1", series="2")
    house.drain()
    return house


def conflicts(house: House):
    return Conflicts(house.log.files, house.owner)


def listed(house, *, resolved=False):
    with house.engine.connect() as connection:
        return conflicts(house).list(connection, resolved=resolved)


def keep(house, choice):
    (open_one,) = listed(house)
    with house.engine.begin() as connection:
        return conflicts(house).keep(connection, open_one.id, choice, replace)


def bytes_of(house, one):
    with conflicts(house).open(one) as extent:
        extent.check()
        return extent.read(0, len(extent))


def test_both_bytes_lie_there(disputed):
    (one,) = listed(disputed)
    assert one.kind is Kind.DIFFERENT_BYTES
    assert bytes_of(disputed, one) == b"second"
    assert disputed.read("1.1") == [b"first"]


def test_keeping_what_is_stored_ends_the_conflict(disputed):
    assert keep(disputed, Choice.STORED) == Kept(1, None)
    assert listed(disputed) == []
    (decided,) = listed(disputed, resolved=True)
    assert bytes_of(disputed, decided) == b"second"
    disputed.store(b"second", uid="1.1")
    disputed.drain()
    assert listed(disputed) == []  # the same bytes again ask nobody again


def test_keeping_the_other_bytes_makes_them_the_instance(disputed):
    disputed.publish()
    kept = keep(disputed, Choice.OTHER)
    assert isinstance(kept, Kept)
    assert disputed.read("1.1") == [b"second"]
    (decided,) = listed(disputed, resolved=True)
    assert (decided.kind, bytes_of(disputed, decided)) == (Kind.SUPERSEDED, b"first")
    jobs = {row.phi_series_id: row for row in disputed.rows(tables.publish_job)}
    assert jobs[kept.phi_series_id].pending_instances == 1
    (row,) = disputed.rows(tables.cache_instance)
    assert row.published is False
    disputed.store(b"first", uid="1.1")
    disputed.drain()
    assert listed(disputed) == []


def test_other_bytes_can_be_kept_when_the_first_are_evicted(disputed):
    disputed.publish()
    disputed.evictor.evict()
    assert isinstance(keep(disputed, Choice.OTHER), Kept)
    assert disputed.read("1.1") == [b"second"]


def test_an_unreadable_instance_may_be_tried_again(house):
    house.store(b"GARBAGE! 1", uid="1.1")
    house.drain()
    assert keep(house, Choice.OTHER) == NotKept("no data set")
    (one,) = listed(house)
    assert one.kind is Kind.UNREADABLE
    assert house.rows(known) == []


def test_a_conflict_is_decided_once(disputed):
    (one,) = listed(disputed)
    keep(disputed, Choice.STORED)
    with disputed.engine.begin() as connection:
        answer = conflicts(disputed).keep(connection, one.id, Choice.OTHER, replace)
        nothing = conflicts(disputed).keep(connection, 99, Choice.OTHER, replace)
    assert isinstance(answer, NotKept)
    assert isinstance(nothing, NotKept)
    assert disputed.read("1.1") == [b"first"]
