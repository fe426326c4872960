"""A node that is slow, hangs or lies costs a reader a moment, and never a wrong byte."""

import threading

import pytest

from replica.latency import Latencies
from replica.locate import locate
from replica.source import NoCopyLeft, ReplicaSource, Reporter
from storage_nodes.addresses import Kind
from storage_nodes.errors import NodeUnavailable
from storage_nodes.names import RecordKey
from tests.unit.replica.grid import Grid
from tests.unit.replica.test_source import BODY, published, source_of  # noqa: F401 (a fixture, found by name)

RECORD = Kind.RECORD


def eager(grid):
    grid.fleet.latencies = Latencies(unknown_seconds=0.05)


def test_a_node_that_hangs_is_not_waited_for(published):  # noqa: F811
    grid, new, located = published
    eager(grid)
    first = located.nodes[0]
    grid.flaky[first].script("get_range=hang")
    source = source_of(grid, located)
    assert source.read(0, 21) == BODY
    assert set(grid.states(new).values()) == {"available"}  # slow is no fault of a copy
    hanging = grid.flaky[first].calls("get_range")
    for _ in range(3):
        assert source.read(0, 21) == BODY
    assert grid.flaky[first].calls("get_range") == hanging  # whoever answered is asked first from then on


def test_when_the_second_fails_the_first_is_still_waited_for(published):  # noqa: F811
    grid, _, located = published
    eager(grid)
    first, *others = located.nodes
    grid.flaky[first].script("get_range=hang")
    for node in others:
        grid.flaky[node].script("get_range=down")
    threading.Timer(0.3, grid.flaky[first].release).start()
    assert source_of(grid, located).read(0, 21) == BODY


def test_all_hang_and_one_comes_back(published):  # noqa: F811
    grid, _, located = published
    eager(grid)
    for node in located.nodes:
        grid.flaky[node].script("get_range=hang")
    threading.Timer(0.3, grid.flaky[located.nodes[2]].release).start()
    assert source_of(grid, located).read(0, 21) == BODY


@pytest.mark.parametrize("fault", ["short", "half", "long"])
def test_a_wrong_length_is_never_given_to_the_reader(published, fault):  # noqa: F811
    grid, new, located = published
    for node in located.nodes[:2]:
        grid.flaky[node].script(f"get_range={fault}")
    assert source_of(grid, located).read(3, 9) == BODY[3:12]
    states = grid.states(new)
    assert [states[node] for node in located.nodes] == ["suspicious", "suspicious", "available"]


def test_an_error_that_is_no_nodes_is_raised(published):  # noqa: F811
    grid, _, located = published

    def broken(*_):
        raise ZeroDivisionError

    for node in grid.flaky.values():
        node.get_range = broken
    with pytest.raises(ZeroDivisionError):
        source_of(grid, located).read(0, 21)


def test_the_only_copy_is_waited_for(engine):
    grid = Grid(engine)
    grid.publish(body=BODY)
    eager(grid)
    with engine.connect() as connection:
        located = locate(connection, grid.fleet, [RecordKey("series-1")], RECORD)[RecordKey("series-1")]
    for node in located.nodes[1:]:
        grid.flaky[node].script("*=down")
    grid.flaky[located.nodes[0]].script("get_range=hang")
    threading.Timer(0.3, grid.release).start()
    source = ReplicaSource(grid.fleet, located, Reporter(engine, grid.clock))
    assert source.read(0, 5) == BODY[:5]
    assert source.reject() is False
    with pytest.raises(NoCopyLeft):
        source.read(0, 5)


class TestLatencies:
    def test_of_an_unknown_node_nothing_is_assumed(self):
        learned = Latencies(unknown_seconds=7)
        for _ in range(7):
            learned.note(RECORD, "a", 1000, 0.1)
        assert learned.patience_seconds(RECORD, "a", 1000) == 7
        learned.note(RECORD, "a", 1000, 0.1)
        assert learned.patience_seconds(RECORD, "a", 1000) == 0.1

    def test_one_read_in_twenty_may_take_longer(self):
        learned = Latencies()
        for number in range(40):
            learned.note(RECORD, "a", 1000, 1.5 if number % 20 == 0 else 0.1)
        assert learned.patience_seconds(RECORD, "a", 1000) == 1.5
        for number in range(64):
            learned.note(RECORD, "a", 1000, 1.5 if number % 32 == 0 else 0.1)
        assert learned.patience_seconds(RECORD, "a", 1000) == 0.1

    def test_nodes_kinds_and_sizes_are_learned_apart(self):
        learned = Latencies(unknown_seconds=7)
        for _ in range(8):
            learned.note(RECORD, "a", 1000, 0.1)
        assert learned.patience_seconds(RECORD, "b", 1000) == 7
        assert learned.patience_seconds(Kind.SEALED, "a", 1000) == 7
        assert learned.patience_seconds(RECORD, "a", 1 << 20) == 7

    def test_a_node_that_is_always_slow_is_not_waited_for_longer_than_two_seconds(self):
        learned = Latencies()
        for _ in range(20):
            learned.note(RECORD, "a", 1000, 25.0)
        assert learned.patience_seconds(RECORD, "a", 1000) == 2


class TestBreaker:
    def test_after_the_pause_one_call_finds_out_and_others_go_elsewhere(self, grid):
        health = grid.fleet.health
        health.failed(RECORD, "a", NodeUnavailable("a", "down"))
        grid.clock.pass_seconds(1)
        assert health.is_well(RECORD, "a")
        with grid.fleet.watched(RECORD, "a"):
            assert not health.is_well(RECORD, "a")
        assert health.is_well(RECORD, "a")

    def test_a_call_that_never_ends_holds_others_off_only_for_a_pause(self, grid):
        health = grid.fleet.health
        health.failed(RECORD, "a", NodeUnavailable("a", "down"))
        grid.clock.pass_seconds(1)
        health.trying(RECORD, "a")
        assert not health.is_well(RECORD, "a")
        grid.clock.pass_seconds(1)
        assert health.is_well(RECORD, "a")

    def test_a_healthy_node_is_never_held_off(self, grid):
        grid.fleet.health.trying(RECORD, "a")
        assert grid.fleet.health.is_well(RECORD, "a")
