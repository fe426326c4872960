import pytest
import sqlalchemy as sa

from replica.intent import IntentLost, commit_copies, supersede
from replica.placement import Rule
from replica.tables import replica_object
from replica.values import NotStored, Stored
from storage_nodes.names import RecordKey
from tests.unit.replica.grid import Grid, an_object

BODY = b"the bytes of a record"


def test_puts_on_every_node_and_is_real_after_the_commit(grid):
    new = an_object()
    stored = grid.put(new, BODY)
    assert stored.held == ("a", "b", "c")
    assert stored.complete
    assert set(grid.states(new).values()) == {"copying"}
    assert grid.row(new).committed_ms is None
    grid.commit(stored)
    assert grid.states(new) == {"a": "available", "b": "available", "c": "available"}
    assert grid.row(new).committed_ms == grid.clock()
    assert grid.row(new).fill_due_ms is None
    assert grid.holders(new) == {"a", "b", "c"}


def test_the_intent_is_in_the_index_before_the_first_byte_is_sent(grid):
    new = an_object()
    seen = []
    for node in grid.flaky.values():
        inner = node.put

        def put(name, body, sha256, inner=inner):
            seen.append(grid.states(new))
            inner(name, body, sha256)

        node.put = put
    grid.put(new, BODY)
    assert seen == [{"a": "copying", "b": "copying", "c": "copying"}] * 3


@pytest.mark.parametrize("fault", ["put=down", "put=full", "put=refused", "put=lie", "put=short", "put=lost"])
def test_one_node_that_goes_wrong_leaves_the_quorum(grid, fault):
    grid.flaky["b"].script(fault)
    new = an_object()
    stored = grid.put(new, BODY)
    assert stored.held == ("a", "c")
    assert not stored.complete
    assert stored.failures.keys() == {"b"}
    grid.commit(stored)
    assert grid.states(new) == {"a": "available", "b": "copying", "c": "available"}
    assert grid.row(new).fill_due_ms == grid.clock()


def test_another_node_takes_the_place_of_one_that_fails(engine):
    grid = Grid(engine, {"a": "x", "b": "x", "c": "y", "d": "y", "e": "z"})
    new = an_object()
    wanted = [node.name for node in grid.targets(new)]
    grid.flaky[wanted[0]].script("put=full")
    stored = grid.put(new, BODY)
    assert set(stored.held) == set(wanted[1:4])
    assert stored.failures.keys() == {wanted[0]}
    assert grid.holders(new) == set(wanted[1:4])


@pytest.mark.parametrize("fault", ["*=down", "put=full", "put=lie", "put=lost"])
def test_without_quorum_nothing_is_stored_and_the_next_attempt_goes_on(grid, fault):
    grid.flaky["a"].script(fault)
    grid.flaky["b"].script(fault)
    new = an_object()
    refused = grid.put(new, BODY)
    assert isinstance(refused, NotStored)
    assert refused.held == ("c",)
    assert refused.failures.keys() == {"a", "b"}
    assert "1 of 2" in refused.reason
    assert grid.row(new).committed_ms is None
    for node in grid.flaky.values():
        node.script("")
    stored = grid.put(new, BODY)
    assert stored.held == ("a", "b", "c")
    grid.commit(stored)
    assert grid.holders(new) == {"a", "b", "c"}


def test_all_nodes_down(grid):
    for node in grid.flaky.values():
        node.script("*=down")
    refused = grid.put(an_object(), BODY)
    assert isinstance(refused, NotStored)
    assert refused.failures == dict.fromkeys("abc", "scripted to be down")


def test_fewer_nodes_than_the_quorum_needs(engine):
    grid = Grid(engine, {"a": "x"})
    refused = grid.put(an_object(), BODY)
    assert isinstance(refused, NotStored)
    assert grid.row(an_object()) is None


def test_a_hanging_node_does_not_hold_up_the_quorum(grid):
    grid.flaky["a"].script("put=hang")
    new = an_object()
    stored = grid.put(new, BODY, settle_seconds=0)
    assert stored.held == ("b", "c")
    assert "a" in stored.failures
    grid.commit(stored)
    assert grid.states(new)["a"] == "copying"


def test_hanging_nodes_are_given_up_after_the_patience(grid):
    grid.flaky["a"].script("put=hang")
    grid.flaky["b"].script("put=hang")
    refused = grid.put(an_object(), BODY, patience_seconds=0.05)
    assert isinstance(refused, NotStored)
    assert refused.failures.keys() == {"a", "b"}


def test_another_node_takes_the_place_of_one_that_hangs(engine):
    grid = Grid(engine, {"a": "x", "b": "x", "c": "x", "d": "x"}, Rule(copies=2, write_quorum=2))
    new = an_object()
    wanted = [node.name for node in grid.targets(new)]
    grid.flaky[wanted[0]].script("put=hang")
    stored = grid.put(new, BODY, patience_seconds=0.05, settle_seconds=0)
    assert set(stored.held) == {wanted[1], wanted[2]}
    grid.release()


def test_wrong_bytes_under_the_name_are_replaced(grid):
    new = an_object()
    grid.memory["a"].objects[new.name] = b"rot"
    assert grid.put(new, BODY).held == ("a", "b", "c")
    assert grid.holders(new) == {"a", "b", "c"}


def test_putting_a_committed_object_again_changes_nothing(grid):
    new = grid.publish()
    for node in grid.flaky.values():
        node.script("*=down")
    again = grid.put(new, BODY)
    assert again.held == ("a", "b", "c")
    grid.commit(again)
    assert set(grid.states(new).values()) == {"available"}


def test_of_two_attempts_only_the_later_commits(grid):
    new = an_object()
    first = grid.put(new, BODY)
    second = grid.put(new, BODY)
    with pytest.raises(IntentLost):
        grid.commit(first)
    assert grid.row(new).committed_ms is None
    grid.commit(second)
    assert grid.row(new).committed_ms is not None


def test_two_different_objects_of_one_key_cannot_both_be_live(grid):
    grid.publish(body=b"first")
    second = an_object(body=b"second")
    stored = grid.put(second, b"second")
    with pytest.raises(sa.exc.IntegrityError):
        grid.commit(stored)
    assert grid.row(second).committed_ms is None


def test_a_newer_object_takes_the_place_of_a_superseded_one_in_one_transaction(grid):
    old = grid.publish(body=b"first")
    new = an_object(body=b"second")
    stored = grid.put(new, b"second")
    with grid.engine.begin() as connection:
        assert supersede(connection, [RecordKey("series-1")], grid.clock()) == 1
        commit_copies(connection, stored, grid.clock())
    assert grid.row(old).superseded_ms == grid.clock()
    assert set(grid.states(old).values()) == {"obsolete"}
    assert grid.row(new).committed_ms == grid.clock()


def test_bytes_that_were_superseded_may_be_published_again(grid):
    new = grid.publish()
    with grid.engine.begin() as connection:
        supersede(connection, [RecordKey("series-1")], grid.clock())
    stored = grid.put(new, BODY)
    assert isinstance(stored, Stored)
    grid.commit(stored)
    assert set(grid.states(new).values()) == {"available"}
    assert grid.row(new).superseded_ms is None


def test_no_commit_after_the_cleaner_has_begun(grid):
    new = an_object()
    stored = grid.put(new, BODY)
    with grid.engine.begin() as connection:
        connection.execute(sa.update(replica_object).values(removing_ms=grid.clock()))
    with pytest.raises(IntentLost):
        grid.commit(stored)
    busy = grid.put(new, BODY)
    assert isinstance(busy, NotStored)
    assert "removed" in busy.reason


def test_no_commit_when_the_rows_are_gone(grid):
    stored = grid.put(an_object(), BODY)
    with grid.engine.begin() as connection:
        connection.execute(sa.delete(replica_object))
    with pytest.raises(IntentLost):
        grid.commit(stored)


def test_a_mistake_in_the_program_is_not_taken_for_a_failing_node(grid):
    def broken(*_):
        raise ZeroDivisionError

    grid.flaky["a"].put = broken
    with pytest.raises(ZeroDivisionError):
        grid.put(an_object(), BODY)
