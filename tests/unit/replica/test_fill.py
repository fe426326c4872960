import pytest
import sqlalchemy as sa

from replica import fill
from replica.fill import Filled
from replica.leases import Claim, release
from replica.placement import Rule
from replica.tables import replica_object
from tests.unit.replica.grid import Grid, an_object

BODY = b"the bytes of a record"


def put_on_two(grid, missing="c"):
    """Publish while one node is down; it is back afterwards."""
    grid.flaky[missing].script("*=down")
    new = grid.publish()
    grid.flaky[missing].script("")
    grid.clock.pass_seconds(120)  # health forgets, the pause is over
    return new


def test_the_missing_copy_is_made(grid):
    new = put_on_two(grid)
    assert fill.run_once(grid.replicas) == Filled(copied=1, complete=1)
    assert grid.states(new) == dict.fromkeys("abc", "available")
    assert grid.holders(new) == {"a", "b", "c"}
    assert grid.row(new).fill_due_ms is None
    assert fill.run_once(grid.replicas) == Filled()


def test_to_the_end_tries_also_what_was_put_off(grid):
    grid.flaky["c"].script("*=down")
    new = grid.publish()
    grid.clock.pass_seconds(120)
    assert fill.run_once(grid.replicas).incomplete == 1  # put off, for the node is still away
    grid.flaky["c"].script("")
    grid.fleet.probe()
    assert fill.run_once(grid.replicas) == Filled()
    *_, last = fill.run_to_the_end(grid.replicas)
    assert last == Filled(copied=1, complete=1)
    assert grid.holders(new) == {"a", "b", "c"}


def test_to_the_end_waits_for_what_another_is_at(grid):
    new, other = put_on_two(grid), grid.worker()
    ours = sa.select(replica_object.c.id)
    held = Claim(ours).take(other)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 2:  # it gives up
            with grid.engine.begin() as connection:
                release(connection, other, held, fill_due_ms=grid.clock() + 60_000)

    *_, last = fill.run_to_the_end(grid.replicas, sleep)
    assert len(waits) == 2
    assert last == Filled(copied=1, complete=1)
    assert grid.holders(new) == {"a", "b", "c"}


def test_to_the_end_counts_what_cannot_be_had_and_ends(grid):
    grid.flaky["c"].script("*=down")
    grid.publish()
    grid.publish("series-2")
    *_, last = fill.run_to_the_end(grid.replicas)
    assert (last.copied, last.incomplete) == (0, 2)
    assert list(fill.run_to_the_end(grid.worker(), sleep=pytest.fail))[-1].incomplete == 2


def test_a_put_that_ended_late_is_found_and_not_repeated(grid):
    grid.flaky["c"].script("put=hang")
    new = grid.publish(settle_seconds=0)
    grid.release()
    grid.memory["c"].objects[new.name] = BODY
    grid.flaky["c"].script("put=full")
    assert fill.run_once(grid.replicas) == Filled(found=1, complete=1)
    assert grid.states(new)["c"] == "available"


@pytest.mark.parametrize("state", ["bad", "lost", "copying"])
@pytest.mark.parametrize("lies_there", [None, b"rot", BODY[:-1]])
def test_a_copy_that_is_no_good_is_replaced(grid, state, lies_there):
    new = grid.publish()
    grid.set_copy(new, "b", state=state)
    if lies_there is None:
        del grid.memory["b"].objects[new.name]
    else:
        grid.memory["b"].objects[new.name] = lies_there
    grid.make_due(new)
    assert fill.run_once(grid.replicas) == Filled(copied=1, complete=1)
    assert grid.holders(new) == {"a", "b", "c"}
    assert grid.states(new) == dict.fromkeys("abc", "available")


def test_a_damaged_source_is_not_copied_and_becomes_suspicious(grid):
    new = put_on_two(grid)
    first, second = grid.fleet.nearest_first("record", new.name, ["a", "b"])
    grid.memory[first].objects[new.name] = b"the bytes of a recorD"
    assert fill.run_once(grid.replicas) == Filled(copied=1, complete=1)
    assert grid.states(new) == {first: "suspicious", second: "available", "c": "available"}
    assert grid.memory["c"].objects[new.name] == BODY


def test_wrong_bytes_are_kept_while_there_are_no_right_ones(grid):
    new = grid.publish()
    for node in "abc":
        grid.memory[node].objects[new.name] = BODY[:-1] + b"?"
    grid.set_copy(new, "b", state="bad")
    grid.set_copy(new, "c", state="bad")
    grid.make_due(new)
    done = fill.run_once(grid.replicas)
    assert (done.copied, done.incomplete) == (0, 1)
    assert all(grid.memory[node].objects[new.name] for node in "abc")
    assert grid.states(new)["a"] == "suspicious"


def test_a_target_that_lies_does_not_count(grid):
    new = put_on_two(grid)
    grid.flaky["c"].script("put=lie")
    assert fill.run_once(grid.replicas) == Filled(failed=1, incomplete=1)
    assert grid.states(new) == {"a": "available", "b": "available", "c": "copying"}


def test_failures_are_tried_again_ever_later(grid):
    new = put_on_two(grid)
    grid.flaky["c"].script("*=down")
    waits = []
    for _ in range(3):
        assert fill.run_once(grid.replicas) == Filled(failed=1, incomplete=1)
        assert fill.run_once(grid.replicas) == Filled()
        waits.append(grid.row(new).fill_due_ms - grid.clock())
        grid.clock.pass_seconds(waits[-1] / 1000)
    assert waits == [60_000, 120_000, 240_000]
    grid.flaky["c"].script("")
    assert fill.run_once(grid.replicas) == Filled(copied=1, complete=1)
    assert grid.row(new).attempts == 0


def test_another_node_gets_the_copy_when_the_first_choice_is_full(engine):
    grid = Grid(engine, {"a": "x", "b": "y", "c": "z", "d": "z"}, Rule(copies=3, write_quorum=2))
    new = an_object()
    third = grid.targets(new)[2].name
    other = ({"a", "b", "c", "d"} - {node.name for node in grid.targets(new)[:3]}).pop()
    grid.flaky[third].script("put=full")
    grid.flaky[other].script("put=full")
    grid.publish()
    grid.flaky[other].script("")
    assert fill.run_once(grid.replicas).complete == 1
    states = grid.states(new)
    assert states[other] == "available"
    assert states[third] == "copying"  # it belongs there, and is moved when there is room
    assert grid.row(new).move_due_ms is not None


def test_sites_are_spread_as_the_rule_says(engine):
    grid = Grid(engine, {"a": "x", "b": "x", "c": "y"}, Rule(copies=2, write_quorum=1, sites=2))
    grid.flaky["c"].script("*=down")
    new = grid.publish()
    assert grid.holders(new) == {"a", "b"}
    grid.clock.pass_seconds(120)
    done = fill.run_once(grid.replicas)
    assert (done.copied, done.incomplete) == (0, 1)
    grid.flaky["c"].script("")
    grid.clock.pass_seconds(3600)
    assert fill.run_once(grid.replicas).complete == 1
    assert grid.holders(new) == {"a", "b", "c"}


def test_a_worker_that_died_loses_its_object_when_the_lease_is_over(grid):
    new = put_on_two(grid)
    dead = grid.worker()
    assert Claim(sa.select(replica_object.c.id)).take(dead) == grid.row(new).id
    assert fill.run_once(grid.replicas) == Filled()
    grid.clock.pass_seconds(dead.lease_ms / 1000)
    assert fill.run_once(grid.replicas) == Filled(copied=1, complete=1)


def test_what_is_not_live_is_left_alone(grid):
    grid.put(an_object(), BODY)
    grid.make_due(an_object())
    grid.flaky["a"].script("")
    assert fill.run_once(grid.replicas) == Filled()
    assert grid.row(an_object()).fill_due_ms is None
    assert set(grid.states(an_object()).values()) == {"copying"}


def test_a_large_object_travels_in_pieces(engine):
    body = bytes(range(256)) * (20 << 12)
    grid = Grid(engine)
    grid.flaky["c"].script("*=down")
    new = grid.publish(body=body)
    grid.flaky["c"].script("")
    grid.clock.pass_seconds(120)
    assert fill.run_once(grid.replicas).copied == 1
    assert grid.memory["c"].objects[new.name] == body
