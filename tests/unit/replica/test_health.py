import pytest

from replica.health import Condition, Health
from storage_nodes.addresses import Kind
from storage_nodes.errors import DigestMismatch, NodeFull, NodeRefused, NodeUnavailable, ObjectMissing
from tests.unit.replica.grid import Clock

RECORD = Kind.RECORD


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return Health(clock)


def test_a_node_that_was_never_asked_is_well(health):
    assert health.is_well(RECORD, "a")
    assert health.takes_objects(RECORD, "a")
    assert not health.is_gone(RECORD, "a", 0)
    assert health.condition(RECORD, "a") == Condition()


@pytest.mark.parametrize("kind", [NodeUnavailable, NodeRefused])
def test_a_node_that_fails_is_passed_over_ever_longer(health, clock, kind):
    pauses = []
    for _ in range(8):
        health.failed(RECORD, "a", kind("a", "down"))
        assert not health.is_well(RECORD, "a")
        pauses.append(health.condition(RECORD, "a").ask_again_ms - clock())
        clock.pass_seconds(pauses[-1] / 1000)
        assert health.is_well(RECORD, "a")
    assert pauses == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]


def test_one_success_makes_good(health):
    for _ in range(5):
        health.failed(RECORD, "a", NodeUnavailable("a", "down"))
    health.worked(RECORD, "a")
    assert health.condition(RECORD, "a") == Condition()


def test_how_long_a_node_is_away_counts_from_its_first_failure(health, clock):
    for _ in range(3):
        health.failed(RECORD, "a", NodeUnavailable("a", "down"))
        clock.pass_seconds(10)
    assert health.is_gone(RECORD, "a", 29_000)
    assert not health.is_gone(RECORD, "a", 30_000)


def test_a_full_node_is_read_from_and_not_written_to(health, clock):
    health.failed(RECORD, "a", NodeFull("a", "no space"))
    assert health.is_well(RECORD, "a")
    assert not health.takes_objects(RECORD, "a")
    health.worked(RECORD, "a")
    assert not health.takes_objects(RECORD, "a")
    clock.pass_seconds(60)
    assert health.takes_objects(RECORD, "a")


@pytest.mark.parametrize("kind", [ObjectMissing, DigestMismatch])
def test_a_bad_copy_is_no_bad_node(health, kind):
    health.failed(RECORD, "a", NodeUnavailable("a", "down"))
    health.failed(RECORD, "a", kind("a", "words"))
    assert health.is_well(RECORD, "a")


def test_records_and_sealed_companions_fail_apart(health):
    health.failed(Kind.SEALED, "a", NodeRefused("a", "credentials"))
    assert health.is_well(RECORD, "a")
    assert not health.is_well(Kind.SEALED, "a")
