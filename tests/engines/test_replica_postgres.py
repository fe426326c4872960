"""The replica index on PostgreSQL: the tests of SQLite, and what only several connections can show."""

import threading

import pytest
import sqlalchemy as sa

from replica import clean, fill
from replica.intent import IntentLost
from replica.leases import Claim
from replica.tables import metadata, replica_object
from replica.values import NotStored, Stored
from tests.unit.replica import (
    test_admission,
    test_check,
    test_clean,
    test_dark,
    test_fill,
    test_leaving,
    test_locate,
    test_move,
    test_review,
    test_source,
    test_status,
    test_store,
)
from tests.unit.replica.grid import Grid, an_object
from tests.unit.replica.test_leaving import four  # noqa: F401 (a fixture, found by name)
from tests.unit.replica.test_source import published  # noqa: F401 (likewise)

pytestmark = pytest.mark.postgres

_SHARED = (
    test_admission,
    test_check,
    test_clean,
    test_dark,
    test_fill,
    test_leaving,
    test_locate,
    test_move,
    test_review,
    test_source,
    test_status,
    test_store,
)
globals().update(
    {
        f"{name}__{module.__name__.rpartition('.')[2]}": item
        for module in _SHARED
        for name, item in vars(module).items()
        if name.startswith("test_") and callable(item)
    }
)


@pytest.fixture
def engine(postgres_url):
    engine = sa.create_engine(postgres_url)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def grid(engine):
    grid = Grid(engine)
    yield grid
    grid.release()


def at_once(*calls):
    """Run calls in threads that start together; returns their results, exceptions among them."""
    barrier = threading.Barrier(len(calls))
    results = [None] * len(calls)

    def run(number, call):
        barrier.wait()
        try:
            results[number] = call()
        except Exception as error:  # noqa: BLE001 (looked at by the test)
            results[number] = error

    threads = [threading.Thread(target=run, args=entry) for entry in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_workers_that_claim_at_once_never_get_the_same_object(grid):
    for number in range(12):
        grid.publish(f"k{number}", b"%d" % number)
    workers = [grid.worker() for _ in range(4)]

    def claim_all(worker):
        found = []
        while (claimed := Claim(sa.select(replica_object.c.id)).take(worker)) is not None:
            found.append(claimed)
        return found

    results = at_once(*(lambda worker=worker: claim_all(worker) for worker in workers))
    claimed = [object_id for found in results for object_id in found]
    assert len(claimed) == len(set(claimed)) == 12


def test_a_claim_does_not_wait_for_an_object_that_is_locked(grid):
    first, second = grid.publish("k1", b"1"), grid.publish("k2", b"2")
    with grid.engine.begin() as connection:
        connection.execute(
            sa.select(replica_object).where(replica_object.c.name == first.name).with_for_update()
        )
        assert Claim(sa.select(replica_object.c.id)).take(grid.worker()) == grid.row(second).id


@pytest.mark.parametrize("_round", range(5))
def test_two_publishers_of_one_object_leave_one_committed_object(grid, _round):
    body = b"the bytes of a record"
    new = an_object(body=body)

    def publish():
        stored = grid.put(new, body)
        assert isinstance(stored, Stored)
        grid.commit(stored)

    results = at_once(publish, publish)
    assert all(result is None or isinstance(result, IntentLost) for result in results)
    assert None in results
    assert set(grid.states(new).values()) == {"available"}


@pytest.mark.parametrize("_round", range(5))
def test_a_commit_that_races_with_the_cleaner_ends_one_way_or_the_other(grid, _round):
    new = an_object()
    stored = grid.put(new, b"the bytes of a record")
    grid.clock.pass_seconds(48 * 3600)
    results = at_once(lambda: grid.commit(stored), lambda: clean.run_once(grid.replicas))
    assert not isinstance(results[1], Exception), results[1]
    if results[0] is None:
        assert grid.holders(new) == {"a", "b", "c"}
        assert set(grid.states(new).values()) == {"available"}
    else:
        assert isinstance(results[0], IntentLost)
        clean.run_once(grid.replicas)  # the first run passed over the row while the commit looked at it
        assert grid.row(new) is None
        assert grid.holders(new) == set()


@pytest.mark.parametrize("_round", range(5))
def test_an_attempt_that_races_with_the_cleaner_never_commits_what_is_deleted(grid, _round):
    body = b"the bytes of a record"
    new = an_object(body=body)
    grid.put(new, body)
    grid.clock.pass_seconds(48 * 3600)

    def publish():
        stored = grid.put(new, body)
        if isinstance(stored, Stored):
            grid.commit(stored)
        return stored

    published_, cleaned = at_once(publish, lambda: clean.run_once(grid.replicas))
    assert not isinstance(cleaned, Exception), cleaned
    row = grid.row(new)
    if row is not None and row.committed_ms is not None:
        assert grid.holders(new) == {"a", "b", "c"}
    else:
        assert isinstance(published_, NotStored | IntentLost)


def test_several_fill_workers_share_the_work(grid):
    grid.flaky["c"].script("*=down")
    objects = [grid.publish(f"k{number}", b"%d" % number) for number in range(10)]
    grid.flaky["c"].script("")
    grid.clock.pass_seconds(120)
    workers = [grid.worker() for _ in range(3)]
    results = at_once(*(lambda worker=worker: fill.run_once(worker) for worker in workers))
    assert sum(result.complete for result in results) == 10
    assert all(grid.holders(new) == {"a", "b", "c"} for new in objects)
