"""A node leaves: nothing is forgotten that is the last of its kind, and after a crash it goes on."""

import pytest

from replica import fill, leaving
from replica.leaving import Missed, forget_removed, left_on, missed
from replica.placement import Rule
from tests.unit.replica.grid import Grid
from tests.unit.replica.test_move import FOUR, TWO, publish, set_node, settle


@pytest.fixture
def four(engine):
    grid = Grid(engine, FOUR, TWO)
    yield grid, publish(grid, 12)
    grid.release()


def held_by(grid, objects, node):
    return [new for new in objects if node in grid.holders(new)]


def test_what_would_miss_it_is_counted(four):
    grid, objects = four
    there = held_by(grid, objects, "a")
    assert missed(grid.replicas, "a") == Missed(below=len(there), lost=0)
    other = min(grid.holders(there[0]) - {"a"})
    grid.set_copy(there[0], other, state="bad")
    assert missed(grid.replicas, "a") == Missed(below=len(there), lost=1)
    assert missed(grid.replicas, "nobody") == Missed()


def test_nothing_misses_a_node_that_was_drained(four):
    grid, _ = four
    assert left_on(grid.replicas, "a").copies > 0
    set_node(grid, "a", "draining")
    leaving.make_due(grid.replicas, "a")
    assert left_on(grid.replicas, "a").at_work
    settle(grid)
    assert left_on(grid.replicas, "a").copies == 0
    assert missed(grid.replicas, "a") == Missed()


def test_a_lost_node_is_forgotten_and_its_copies_are_made_elsewhere(four):
    grid, objects = four
    there = held_by(grid, objects, "a")
    grid.flaky["a"].script("*=down")
    set_node(grid, "a", "removed")
    assert forget_removed(grid.replicas, limit=2) == 2  # killed here: the worker goes on
    assert forget_removed(grid.replicas) == len(there) - 2
    assert forget_removed(grid.replicas) == 0
    assert fill.run_once(grid.replicas, 100).complete == len(there)
    assert all(len(grid.holders(new) - {"a"}) == 2 for new in objects)


def test_the_last_copy_known_is_not_forgotten_and_is_back_with_its_node(four):
    grid, objects = four
    (new, *_) = held_by(grid, objects, "a")
    other = min(grid.holders(new) - {"a"})
    grid.set_copy(new, other, state="bad")
    grid.memory[other].objects[new.name] = b"?"
    set_node(grid, "a", "removed")
    forget_removed(grid.replicas)
    assert grid.states(new)["a"] == "available"
    set_node(grid, "a", "active")
    settle(grid)
    assert len(grid.holders(new)) == 2


def test_a_node_that_is_taken_back_gives_what_lies_on_it(engine):
    grid = Grid(engine, FOUR, Rule(2, 2))
    objects = publish(grid, 12)
    before = {new.name: grid.holders(new) for new in objects}
    set_node(grid, "a", "removed")
    forget_removed(grid.replicas)
    settle(grid)
    set_node(grid, "a", "active")
    settle(grid)
    assert {new.name: grid.holders(new) for new in objects} == before
