import pytest

from replica import check, fill
from replica.check import Checked
from tests.unit.replica.grid import an_object

BODY = b"the bytes of a record"


@pytest.mark.parametrize(
    ("lies_there", "state", "found"),
    [
        (BODY, "available", Checked(good=1)),
        (b"the bytes of a recorD", "bad", Checked(bad=1)),
        (BODY[:5], "bad", Checked(bad=1)),
        (None, "lost", Checked(lost=1)),
    ],
)
def test_a_suspicious_copy_is_read_again(grid, lies_there, state, found):
    new = grid.publish()
    if lies_there is None:
        del grid.memory["b"].objects[new.name]
    else:
        grid.memory["b"].objects[new.name] = lies_there
    grid.set_copy(new, "b", state="suspicious")
    grid.clock.pass_seconds(5)
    assert check.run_once(grid.replicas) == found
    assert grid.states(new) == {"a": "available", "b": state, "c": "available"}
    assert (grid.row(new).fill_due_ms is None) == (state == "available")
    assert check.run_once(grid.replicas) == Checked()
    fill.run_once(grid.replicas)
    assert grid.holders(new) == {"a", "b", "c"}
    assert set(grid.states(new).values()) == {"available"}


def test_a_copy_whose_node_is_down_stays_suspicious_and_is_tried_later(grid):
    new = grid.publish()
    grid.set_copy(new, "b", state="suspicious")
    grid.flaky["b"].script("*=down")
    assert check.run_once(grid.replicas) == Checked(unreachable=1)
    assert check.run_once(grid.replicas) == Checked()
    assert grid.states(new)["b"] == "suspicious"
    assert grid.row(new).fill_due_ms is None
    grid.flaky["b"].script("")
    grid.clock.pass_seconds(60)
    assert check.run_once(grid.replicas) == Checked(good=1)


def test_good_copies_are_read_again_once_in_a_period(grid):
    old = grid.publish("old", b"old bytes")
    grid.clock.pass_seconds(3600)
    young = grid.publish("young", b"young bytes")
    grid.memory["c"].objects[old.name] = b"rotten by"
    grid.memory["c"].objects[young.name] = b"rotten too "
    assert check.run_once(grid.replicas) == Checked()
    assert check.run_once(grid.replicas, verified_before_ms=grid.clock()) == Checked(good=2, bad=1)
    assert grid.states(old)["c"] == "bad"
    assert grid.states(young)["c"] == "available"
    assert check.run_once(grid.replicas, verified_before_ms=grid.clock()) == Checked()


def test_suspicious_copies_come_before_old_ones_and_a_run_is_bounded(grid):
    grid.publish("old", b"old bytes")
    grid.clock.pass_seconds(3600)
    suspect = grid.publish("suspect", b"other bytes")
    grid.set_copy(suspect, "a", state="suspicious")
    grid.clock.pass_seconds(3600)
    assert check.run_once(grid.replicas, limit=1, verified_before_ms=grid.clock()) == Checked(good=3)
    assert grid.states(suspect)["a"] == "available"


def test_what_is_not_committed_is_not_checked(grid):
    new = an_object()
    grid.put(new, BODY)
    grid.set_copy(new, "a", state="suspicious")
    assert check.run_once(grid.replicas, verified_before_ms=grid.clock() + 1) == Checked()
