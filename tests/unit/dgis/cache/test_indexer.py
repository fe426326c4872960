import threading
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from dgis import tables
from dgis.cache.indexer import BATCH, Indexer
from dgis.cache.publish_queue import State, arrived
from tests.unit.dgis.cache.harness import GATEWAY, PATIENCE, House, body_of, ingest, locations, put


def jobs(house):
    return {row.phi_series_id: row for row in house.rows(tables.publish_job)}


def test_every_stored_instance_gets_its_rows_in_one_transaction(house):
    house.store(*(body_of(n) for n in range(5)))
    assert house.drain() == 5
    assert len(house.rows(tables.cache_instance)) == 5
    assert jobs(house)[1].pending_instances == 5
    assert house.indexer.run_once() == 0


def test_more_than_a_batch_takes_several_rounds(house):
    house.store(*(b"%d" % n for n in range(BATCH + 3)))
    assert house.indexer.run_once() == BATCH
    assert house.indexer.run_once() == 3


def test_entries_of_several_segments_are_indexed_by_time_of_receipt(house):
    one, two = house.log.association(), house.log.association()
    for number in range(6):
        put(one if number % 2 else two, house.meta("1.2.3"), b"version %d" % number)
    one.finish(released=True)
    two.finish(released=True)
    house.drain()
    assert house.read("1.2.3") == [b"version 0"]
    assert len(house.rows(tables.cache_conflict)) == 5


def test_the_same_bytes_again_give_their_space_back(house):
    body = body_of(1, 200_000)
    house.store(body, uid="1.1")
    house.drain()
    before = house.log.files.allocated_bytes(house.log.files.ids()[0])
    house.store(body, uid="1.1")
    house.store(body, uid="1.1")
    house.drain()
    house.log.close()
    assert house.log.files.allocated_bytes(house.log.files.ids()[0]) <= before
    assert house.read("1.1") == [body]
    assert jobs(house)[1].pending_instances == 1


def test_duplicates_within_one_batch_are_seen(house):
    house.store(b"same", uid="1.1")
    house.store(b"same", uid="1.1")
    assert house.indexer.run_once() == 2
    assert house.read("1.1") == [b"same"]


def test_other_bytes_of_a_uid_are_kept_apart_once(house):
    for body in (b"first", b"second", b"second", b"first"):
        house.store(body, uid="1.1")
    house.drain()
    assert house.read("1.1") == [b"first"]
    (row,) = house.rows(tables.cache_conflict)
    assert (row.kind, row.calling_ae) == ("different-bytes", "SENDER")


def test_bytes_that_are_no_data_set_are_kept_and_counted(house):
    house.store(b"GARBAGE! and more", uid="1.1")
    house.store(b"fine", uid="1.2")
    house.drain()
    (row,) = house.rows(tables.cache_conflict)
    assert (row.kind, row.phi_instance_id) == ("unreadable", None)
    assert house.read("1.2") == [b"fine"]


def test_an_instance_that_trips_the_catalog_does_not_stop_the_others(house):
    house.store(b"fine", uid="1.1")
    house.store(b"POISON!!", uid="1.2")
    house.store(b"fine too", uid="1.3")
    assert house.drain() == 3
    assert (house.read("1.1"), house.read("1.3")) == ([b"fine"], [b"fine too"])
    (row,) = house.rows(tables.cache_conflict)
    assert row.reason == "its attributes could not be read"


def test_text_no_column_takes_is_kept_apart_too(house):
    writer = house.log.association()
    put(writer, house.meta("1.2\0\udcff", series="no number"), b"odd")
    writer.finish(released=True)
    house.drain()
    (row,) = house.rows(tables.cache_conflict)
    assert row.sop_instance_uid == "1.2\\0\\udcff"


def test_a_dead_database_stops_nothing_and_loses_nothing(house):
    alive = threading.Event()

    def sometimes(connection, batch):
        if not alive.is_set():
            raise OperationalError("", None, Exception("the database is away"))
        return ingest(connection, batch)

    indexer = Indexer(house.log, house.engine, sometimes, house.owner)
    first = house.store(*(body_of(n) for n in range(3)), uid="1.1")
    with pytest.raises(OperationalError):
        indexer.run_once()
    second = house.store(*(body_of(n) for n in range(3)), uid="1.2")
    with pytest.raises(OperationalError):
        indexer.run_once()
    alive.set()
    while indexer.run_once():
        pass
    assert len(locations(first + second)) == len(house.rows(tables.cache_instance)) == 6


def test_the_thread_indexes_and_survives_a_dead_database(house):
    failures = []

    def first_fails(connection, batch):
        if not failures:
            failures.append(1)
            raise OperationalError("", None, Exception("the database is away"))
        return ingest(connection, batch)

    indexer = Indexer(house.log, house.engine, first_fails, house.owner)
    indexer.start()
    house.store(b"x", uid="1.1")
    deadline = time.monotonic() + 20
    while not house.rows(tables.cache_instance) and time.monotonic() < deadline:
        time.sleep(0.01)
    house.store(b"y", uid="1.2")
    indexer.stop()
    assert failures
    assert len(house.rows(tables.cache_instance)) == 2


def test_a_race_lost_against_another_gateway_is_looked_at_again(house):
    lost = []

    def racing(connection, batch):
        if not lost:
            lost.append(1)
            connection.execute(
                sa.insert(tables.cache_segment),
                [{"id": "a", "gateway_id": "g", "epoch": b"", "indexed_to": 0}] * 2,
            )
        return ingest(connection, batch)

    indexer = Indexer(house.log, house.engine, racing, house.owner)
    house.store(b"x", uid="1.1")
    assert indexer.run_once() == 1
    assert lost
    assert house.read("1.1") == [b"x"]
    assert house.rows(tables.cache_conflict) == []


def test_a_quiet_series_is_due_after_the_stable_age_and_each_image_moves_it(house):
    house.store(b"x", uid="1.1")
    house.drain()
    first = jobs(house)[1]
    house.store(b"y", uid="1.2")
    house.drain()
    second = jobs(house)[1]
    assert first.due_ms == first.last_received_ms + PATIENCE.stable_age_ms
    assert second.due_ms > first.due_ms
    assert second.first_received_ms == first.first_received_ms
    assert (second.state, second.pending_instances, second.released_ms) == ("waiting", 2, None)


def test_a_release_after_several_images_makes_the_series_due_earlier(house):
    house.store(b"a", b"b", uid="1.1", released=True)
    house.drain()
    job = jobs(house)[1]
    assert job.released_ms is not None
    assert job.due_ms == job.released_ms + PATIENCE.after_release_ms


@pytest.mark.parametrize(("bodies", "released"), [([b"a"], True), ([b"a", b"b"], False)])
def test_one_image_or_an_abort_is_no_sign(house, bodies, released):
    house.store(*bodies, uid="1.1", released=released)
    house.drain()
    assert jobs(house)[1].released_ms is None


def test_a_release_is_noted_only_when_all_its_images_are_indexed(house):
    house.store(*(b"%d" % n for n in range(BATCH + 2)), released=True)
    house.indexer.run_once()
    assert jobs(house)[1].released_ms is None
    house.indexer.run_once()
    assert jobs(house)[1].released_ms is not None


def test_an_image_after_the_release_makes_the_series_wait_again(house):
    house.store(b"a", b"b", uid="1.1", released=True)
    house.drain()
    house.store(b"c", uid="1.9")
    house.drain()
    job = jobs(house)[1]
    assert job.released_ms is None
    assert job.due_ms == job.last_received_ms + PATIENCE.stable_age_ms


@pytest.mark.parametrize(
    ("state", "then", "moves"),
    [
        (State.PUBLISHED, State.WAITING, True),
        (State.CLAIMED, State.CLAIMED, True),
        (State.FAILED, State.FAILED, False),
    ],
)
def test_a_late_image_finds_the_job_as_it_is(house, state, then, moves):
    house.store(b"a", uid="1.1")
    house.drain()
    before = jobs(house)[1]
    with house.engine.begin() as connection:
        connection.execute(sa.update(tables.publish_job).values(state=state.value, attempts=3))
        arrived(connection, GATEWAY, {1: 1}, before.last_received_ms + 500, PATIENCE)
    after = jobs(house)[1]
    assert after.state == then.value
    assert (after.due_ms > before.due_ms) is moves
    assert after.attempts == (0 if state is State.PUBLISHED else 3)
    assert after.pending_instances == 2


def test_two_gateways_on_one_database_keep_their_own_caches(tmp_path, house):
    other = House(tmp_path / "other", engine=house.engine, gateway="gateway-2")
    house.store(b"x", uid="1.1")
    house.drain()
    other.store(b"x", uid="1.1")
    other.drain()
    assert house.read("1.1") == [b"x"]
    assert other.read("1.1") == [b"x"]  # unpublished: either gateway may be the one to publish it
    other.restart()
    other.drain()
    assert len(house.rows(tables.cache_instance)) == 2
    other.stop()


class KeysAreAwayError(Exception):
    pass


@pytest.mark.parametrize("trouble", [KeysAreAwayError(), OSError(24, "too many open files"), MemoryError()])
def test_what_is_not_the_instances_fault_is_waited_for(house, trouble):
    gone = []

    def away_once(connection, batch):
        if not gone:
            gone.append(1)
            raise trouble
        return ingest(connection, batch)

    indexer = Indexer(house.log, house.engine, away_once, house.owner)
    house.store(b"a", b"b", uid="1.1")
    with pytest.raises(type(trouble)):
        indexer.run_once()
    assert indexer.run_once() == 2
    assert house.rows(tables.cache_conflict) == []
    assert house.read("1.1.0") == [b"a"]


def test_an_instance_the_disk_does_not_give_is_kept_apart(house):
    def unreadable(connection, batch):
        if any(arrival.meta.sop_instance_uid == "1.1.0" for arrival in batch):
            raise OSError(5, "input/output error")
        return ingest(connection, batch)

    indexer = Indexer(house.log, house.engine, unreadable, house.owner)
    house.store(b"a", b"b", uid="1.1")
    assert indexer.run_once() == 2
    assert [row.sop_instance_uid for row in house.rows(tables.cache_conflict)] == ["1.1.0"]
    assert house.read("1.1.1") == [b"b"]
