"""Copies come to where they belong, and only those that must move do."""

import pytest
import sqlalchemy as sa

from replica import clean, fill, move, review
from replica.placement import Rule
from replica.rules import Choice, Labels, Rules
from replica.standing import decide, read_standing
from replica.tables import replica_object
from replica.values import NewObject, NodeState, Stored
from replica.weighing import weigh
from storage_nodes.addresses import Kind
from tests.unit.replica.grid import Grid, an_object

FOUR = {"a": "east", "b": "east", "c": "west", "d": "west"}
TWO = Rule(copies=2, write_quorum=2)


def settle(grid, replicas=None):
    """Review, fill, move and clean until nothing is to be done; returns how many copies were made."""
    replicas = replicas or grid.replicas
    copied = 0
    for _ in range(50):
        grid.clock.pass_seconds(7200)
        grid.fleet.probe()
        found = review.run_once(replicas)
        filled, moved = fill.run_once(replicas, 100), move.run_once(replicas, 100)
        cleaned = clean.run_once(replicas, 100)
        copied += filled.copied + moved.copied
        if not (found.made_due or found.misplaced or cleaned.copies):
            return copied
    raise AssertionError("it never ends")


def publish(grid, count):
    return [grid.publish(f"k{number}", b"%d" % number) for number in range(count)]


def set_node(grid, node, state):
    with grid.engine.begin() as connection:
        decide(connection, list(grid.memory), node, NodeState(state), grid.clock())


def layout(grid, objects):
    return {new.name: frozenset(grid.holders(new)) for new in objects}


def test_nothing_moves_where_nothing_changed(engine):
    grid = Grid(engine, FOUR, TWO)
    objects = publish(grid, 20)
    before = layout(grid, objects)
    assert settle(grid) == 0
    assert layout(grid, objects) == before


def test_a_new_node_gets_its_share_and_nothing_else_moves(engine):
    grid = Grid(engine, FOUR, TWO)
    set_node(grid, "d", "new")
    objects = publish(grid, 40)
    before = layout(grid, objects)
    assert not any("d" in held for held in before.values())
    set_node(grid, "d", "active")
    copied = settle(grid)
    after = layout(grid, objects)
    moved = [name for name in before if before[name] != after[name]]
    assert copied == len(moved) > 5
    for name in moved:
        assert after[name] - before[name] == {"d"}
        assert len(after[name]) == 2
    assert {"active"} == {str(state) for state in read_states(grid).values()}


def read_states(grid):
    with grid.engine.connect() as connection:
        return read_standing(connection).states


def test_a_draining_node_is_emptied_and_nothing_else_moves(engine):
    grid = Grid(engine, FOUR, TWO)
    objects = publish(grid, 40)
    before = layout(grid, objects)
    on_it = [name for name, held in before.items() if "a" in held]
    set_node(grid, "a", "draining")
    assert review.run_once(grid.replicas).made_due == 0  # not urgent: the copies are good
    assert settle(grid) == len(on_it)
    after = layout(grid, objects)
    assert all(len(held) == 2 and "a" not in held for held in after.values())
    assert all(before[name] - {"a"} <= after[name] for name in before)
    assert grid.memory["a"].objects == {}


def test_a_draining_node_is_the_source_where_it_has_the_only_copy(engine):
    grid = Grid(engine, FOUR, TWO)
    (new,) = publish(grid, 1)
    only, other = sorted(grid.holders(new))
    grid.set_copy(new, other, state="lost")
    del grid.memory[other].objects[new.name]
    set_node(grid, only, "draining")
    settle(grid)
    assert len(grid.holders(new)) == 2
    assert only not in grid.holders(new)


def test_nothing_is_let_go_of_before_what_belongs_is_there(engine):
    grid = Grid(engine, FOUR, TWO)
    objects = publish(grid, 10)
    before = layout(grid, objects)
    set_node(grid, "a", "draining")
    for node in "bcd":
        grid.flaky[node].script("put=lost")
    settle_fails = move.run_once(grid.replicas) if review.run_once(grid.replicas) else None
    assert settle_fails.settled == 0
    assert settle_fails.waiting > 0
    assert layout(grid, objects) == before


def test_when_a_node_is_back_its_copies_are_the_ones_that_belong(engine):
    grid = Grid(engine, FOUR, TWO)
    objects = publish(grid, 10)
    before = layout(grid, objects)
    grid.flaky["a"].script("*=down")
    grid.fleet.probe()
    grid.clock.pass_seconds(16 * 60)
    review.run_once(grid.replicas)
    assert fill.run_once(grid.replicas, 100).copied > 0
    assert move.run_once(grid.replicas, 100).settled == 0
    grid.flaky["a"].script("")
    settle(grid)
    assert layout(grid, objects) == before


def test_fewer_copies_by_rule_take_one_away_each(engine):
    grid = Grid(engine, FOUR, Rule(3, 2))
    objects = publish(grid, 10)
    before = layout(grid, objects)
    assert settle(grid, grid.with_rule(copies=2, write_quorum=2)) == 0
    after = layout(grid, objects)
    assert all(len(held) == 2 and held < before[name] for name, held in after.items())


def test_a_changed_rule_reaches_only_what_it_is_for(engine):
    grid = Grid(engine, FOUR, TWO)
    objects = []
    for number in range(12):
        plain = an_object(f"k{number}", b"%d" % number)
        labels = Labels("North", "CT" if number % 3 else "MR")
        new = NewObject(plain.record_key, plain.kind, plain.size_bytes, plain.sha256, None, labels)
        stored = grid.put(new, b"%d" % number)
        assert isinstance(stored, Stored)
        grid.commit(stored)
        objects.append(new)
    before = layout(grid, objects)
    more = Rules(TWO, (Choice(Rule(4, 2), "N*", frozenset({"MR"}), Kind.RECORD),))
    assert settle(grid, grid.worker(more)) == 4 * 2
    for new in objects:
        held = grid.holders(new)
        assert held == (set("abcd") if new.labels.modality == "MR" else set(before[new.name]))


def test_a_node_at_its_capacity_gets_no_more(engine):
    grid = Grid(engine, FOUR, TWO, capacity={"a": 1})
    set_node(grid, "a", "active")
    publish(grid, 8)
    weigh(engine)
    full = len(grid.memory["a"].objects)
    assert full
    more = [grid.publish(f"more{number}", b"m%d" % number) for number in range(8)]
    assert len(grid.memory["a"].objects) == full
    assert all(len(grid.holders(new)) == 2 for new in more)
    assert settle(grid) == 0


@pytest.mark.parametrize("state", ["read-only", "draining", "removed", "new"])
def test_only_active_nodes_are_given_objects(engine, state):
    grid = Grid(engine, FOUR, TWO)
    set_node(grid, "a", state)
    publish(grid, 10)
    assert not grid.memory["a"].objects


def test_what_sits_on_a_read_only_node_stays(engine):
    grid = Grid(engine, FOUR, TWO)
    objects = publish(grid, 10)
    before = layout(grid, objects)
    set_node(grid, "a", "read-only")
    assert settle(grid) == 0
    assert layout(grid, objects) == before


def test_an_object_that_is_superseded_meanwhile_is_let_be(engine):
    grid = Grid(engine, FOUR, TWO)
    (new,) = publish(grid, 1)
    with engine.begin() as connection:
        connection.execute(sa.update(replica_object).values(move_due_ms=0, superseded_ms=grid.clock()))
    assert move.run_once(grid.replicas) == move.Moved()
    assert grid.row(new).move_due_ms is None
