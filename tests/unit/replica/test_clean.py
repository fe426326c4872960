import pytest
import sqlalchemy as sa

from replica import clean, fill
from replica.clean import INTENT_GRACE_MS, SUPERSEDED_GRACE_MS, Cleaned
from replica.intent import supersede
from replica.tables import replica_object
from storage_nodes.errors import ObjectLocked
from storage_nodes.names import RecordKey
from tests.unit.replica.grid import an_object

BODY = b"the bytes of a record"


def retire(grid, key="series-1"):
    with grid.engine.begin() as connection:
        supersede(connection, [RecordKey(key)], grid.clock())


def test_an_intent_that_was_never_committed_is_removed_after_the_grace(grid):
    new = an_object()
    grid.put(new, BODY)
    grid.clock.pass_seconds(INTENT_GRACE_MS / 1000)
    assert clean.run_once(grid.replicas) == Cleaned()
    assert grid.holders(new) == {"a", "b", "c"}
    grid.clock.pass_seconds(1)
    assert clean.run_once(grid.replicas) == Cleaned(objects=1, copies=3)
    assert grid.holders(new) == set()
    assert grid.row(new) is None
    assert grid.states(new) == {}


def test_an_attempt_that_began_anew_is_not_removed(grid):
    new = an_object()
    grid.put(new, BODY)
    grid.clock.pass_seconds(INTENT_GRACE_MS / 1000 + 1)
    stored = grid.put(new, BODY)
    assert clean.run_once(grid.replicas) == Cleaned()
    grid.commit(stored)
    grid.clock.pass_seconds(INTENT_GRACE_MS / 1000 + 1)
    assert clean.run_once(grid.replicas) == Cleaned()
    assert grid.holders(new) == {"a", "b", "c"}


def test_a_superseded_object_is_removed_when_its_readers_are_through(grid):
    new = grid.publish()
    kept = grid.publish("kept", b"kept")
    retire(grid)
    assert clean.run_once(grid.replicas) == Cleaned()
    grid.clock.pass_seconds(SUPERSEDED_GRACE_MS / 1000 + 1)
    assert clean.run_once(grid.replicas) == Cleaned(objects=1, copies=3)
    assert grid.holders(new) == set()
    assert grid.holders(kept) == {"a", "b", "c"}


@pytest.mark.parametrize("until_seconds", [5 * 86400, None])
def test_a_copy_that_its_node_has_locked_is_removed_when_the_lock_is_over(grid, until_seconds):
    new = grid.publish()
    retire(grid)
    grid.clock.pass_seconds(SUPERSEDED_GRACE_MS / 1000 + 1)
    until_ms = None if until_seconds is None else grid.clock() + until_seconds * 1000
    node = grid.fleet.node(new.kind, "b")
    delete = node._inner.delete

    def refuse(_name):
        raise ObjectLocked("b", "kept by a lock", until_ms)

    node._inner.delete = refuse
    assert clean.run_once(grid.replicas) == Cleaned(copies=2, failed=1)
    assert grid.fleet.health.is_well(new.kind, "b")
    grid.clock.pass_seconds((until_seconds or 86400) - 1)
    assert clean.run_once(grid.replicas) == Cleaned()
    assert grid.states(new) == {"b": "obsolete"}
    node._inner.delete = delete
    grid.clock.pass_seconds(2)
    assert clean.run_once(grid.replicas) == Cleaned(objects=1, copies=1)
    assert grid.row(new) is None


def test_a_node_that_is_down_keeps_the_row_until_its_copy_is_gone(grid):
    new = grid.publish()
    retire(grid)
    grid.clock.pass_seconds(SUPERSEDED_GRACE_MS / 1000 + 1)
    grid.flaky["b"].script("*=down")
    assert clean.run_once(grid.replicas) == Cleaned(copies=2, failed=1)
    assert grid.states(new) == {"b": "obsolete"}
    assert clean.run_once(grid.replicas) == Cleaned()
    grid.flaky["b"].script("")
    grid.clock.pass_seconds(61)
    assert clean.run_once(grid.replicas) == Cleaned(objects=1, copies=1)
    assert grid.holders(new) == set()


def test_a_cleaner_that_died_in_the_middle_is_taken_over(grid):
    new = grid.publish()
    retire(grid)
    grid.clock.pass_seconds(SUPERSEDED_GRACE_MS / 1000 + 1)

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    dead = grid.worker()
    whole, grid.flaky["b"].delete = grid.flaky["b"].delete, die
    try:
        clean.run_once(dead)
    except Killed:
        grid.flaky["b"].delete = whole
    assert grid.states(new) == {"b": "obsolete", "c": "obsolete"}
    assert clean.run_once(grid.replicas) == Cleaned()
    grid.clock.pass_seconds(dead.lease_ms / 1000)
    assert clean.run_once(grid.replicas) == Cleaned(objects=1, copies=2)
    assert grid.holders(new) == set()
    assert grid.row(new) is None


def test_a_surplus_copy_is_removed_and_the_object_stays(grid):
    new = grid.publish()
    fewer = grid.with_rule(copies=2, write_quorum=1)
    grid.set_copy(new, "c", state="obsolete")
    assert clean.run_once(fewer) == Cleaned(copies=1)
    assert grid.holders(new) == {"a", "b"}
    assert grid.states(new) == {"a": "available", "b": "available"}


def test_a_surplus_copy_that_is_needed_after_all_is_kept(grid):
    new = grid.publish()
    grid.set_copy(new, "c", state="obsolete")
    assert clean.run_once(grid.replicas) == Cleaned()
    assert grid.holders(new) == {"a", "b", "c"}
    fill.run_once(grid.replicas)
    assert set(grid.states(new).values()) == {"available"}


def test_a_run_is_bounded(grid):
    for number in range(5):
        grid.put(an_object(f"k{number}", b"%d" % number), b"%d" % number)
    grid.clock.pass_seconds(INTENT_GRACE_MS / 1000 + 1)
    assert clean.run_once(grid.replicas, limit=2).objects == 2
    with grid.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(replica_object)) == 3


def test_leftovers_are_cleaned_on_every_node_that_answers(grid):
    asked = []
    for name, node in grid.memory.items():
        node.clean_leftovers = lambda seconds, name=name: asked.append((name, seconds)) or 2
    assert clean.clean_leftovers(grid.fleet, older_than_seconds=60) == 12
    assert sorted(asked) == sorted([("a", 60), ("b", 60), ("c", 60)] * 2)
