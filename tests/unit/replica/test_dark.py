"""What lies on a node and is not in the index: quarantined, then adopted or removed."""

import hashlib

import pytest

from replica import clean, dark, survey
from replica.dark import Settled, count_dark
from replica.values import NotStored, Stored
from storage_nodes.addresses import Kind
from storage_nodes.names import ObjectName
from tests.unit.replica.grid import an_object
from tests.unit.replica.test_move import set_node, settle

BODY = b"the bytes of a record"


def look(grid, node="a"):
    return survey.survey(grid.replicas, Kind.RECORD, node)


def lay_down(grid, new, body=BODY, node="a"):
    grid.memory[node].objects[new.name] = body


def quarantined(grid):
    with grid.engine.connect() as connection:
        return count_dark(connection)


def decide(grid, **given):
    return dark.run_once(grid.replicas, **given)


def test_what_the_index_knows_is_not_dark(grid):
    grid.publish()
    grid.put(an_object("begun"), BODY)
    assert look(grid) == survey.Surveyed(listed=2)
    assert quarantined(grid) == {}


def test_an_unknown_object_is_quarantined_and_stays_for_the_grace_time(grid):
    lay_down(grid, an_object())
    assert look(grid).dark == 1
    assert look(grid).dark == 1
    assert quarantined(grid) == {"a": 1}
    grid.clock.pass_seconds(13 * 86_400)
    assert decide(grid) == Settled()
    assert an_object().name in grid.memory["a"].objects
    grid.clock.pass_seconds(2 * 86_400)
    assert decide(grid) == Settled(doomed=1)
    assert quarantined(grid) == {}
    assert clean.run_once(grid.replicas).objects == 1
    assert grid.memory["a"].objects == {}
    assert grid.row(an_object()) is None


def test_what_is_being_removed_cannot_be_put_and_then_lost(grid):
    lay_down(grid, an_object())
    look(grid)
    assert decide(grid, grace_ms=-1) == Settled(doomed=1)
    assert isinstance(grid.put(an_object(), BODY), NotStored)
    clean.run_once(grid.replicas)
    stored = grid.put(an_object(), BODY)
    assert isinstance(stored, Stored)
    assert len(grid.holders(an_object())) == 3


def test_what_was_put_meanwhile_is_known_and_not_removed(grid):
    lay_down(grid, an_object())
    look(grid)
    new = grid.publish()
    assert decide(grid, grace_ms=-1) == Settled(adopted=1)
    settle(grid)
    assert grid.states(new) == dict.fromkeys("abc", "available")


@pytest.mark.parametrize("body", [BODY, b"other bytes"])
def test_a_copy_of_a_known_object_is_adopted_if_it_is_one(grid, body):
    new = grid.publish()
    fewer = grid.with_rule(copies=2, write_quorum=2)
    settle(grid, fewer)
    (without,) = set("abc") - grid.holders(new)
    lay_down(grid, new, body, without)
    assert look(grid, without).dark == 1
    assert decide(grid).adopted == 1
    assert grid.states(new)[without] == "copying"
    copied = settle(grid)  # the rule of three copies holds again
    assert copied == (body != BODY)
    assert grid.holders(new) == {"a", "b", "c"}


def test_a_copy_that_is_not_wanted_is_adopted_and_then_removed(grid):
    new = grid.publish()
    fewer = grid.with_rule(copies=2, write_quorum=2)
    settle(grid, fewer)
    (without,) = set("abc") - grid.holders(new)
    lay_down(grid, new, BODY, without)
    look(grid, without)
    decide(grid)
    assert settle(grid, fewer) == 0
    assert grid.holders(new) == set("abc") - {without}


def test_a_put_that_ended_after_its_intent_was_cleaned_away(grid):
    grid.flaky["a"].script("put=hang")
    new = an_object()
    grid.flaky["b"].script("put=full")
    assert isinstance(grid.put(new, BODY, patience_seconds=0.1), NotStored)
    clean.run_once(grid.replicas, intent_grace_ms=-1)
    assert grid.row(new) is None
    grid.release()
    lay_down(grid, new)
    assert look(grid).dark == 1
    decide(grid, grace_ms=-1)
    clean.run_once(grid.replicas)
    assert grid.memory["a"].objects == {}


def test_many_unknown_objects_are_no_left_overs_and_are_kept(grid):
    for number in range(dark.FEW + 1):
        body = b"%d" % number
        lay_down(grid, an_object(f"k{number}", body), body)
    look(grid)
    found = decide(grid, grace_ms=-1, limit=1000)
    assert found == Settled(kept=dark.FEW + 1)
    assert len(grid.memory["a"].objects) == dark.FEW + 1


def test_what_no_gateway_put_there_is_let_be(grid):
    digest = hashlib.sha256(b"x").hexdigest()
    grid.memory["a"].objects[ObjectName(f"record/{digest[:2]}/readme")] = b"x"
    assert look(grid) == survey.Surveyed(listed=1)


def test_an_object_that_is_gone_again_is_no_longer_dark(grid):
    lay_down(grid, an_object())
    look(grid)
    grid.memory["a"].objects.clear()
    look(grid)
    assert quarantined(grid) == {}


def test_the_survey_goes_on_where_it_was(grid):
    set_node(grid, "c", "active")
    new = grid.publish()
    del grid.memory["a"].objects[new.name]
    turns = 0
    while grid.states(new)["a"] == "available":
        assert survey.run_once(grid.worker()) == 3  # a new worker each time: the place is in the database
        turns += 1
    assert turns == new.sha256[0] + 1
    grid.flaky["a"].script("list=down")
    assert survey.run_once(grid.replicas) == 2
