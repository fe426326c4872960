import pytest

from replica.locate import locate
from replica.source import NoCopyLeft, ReplicaSource, Reporter
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey

BODY = b"the bytes of a record"


@pytest.fixture
def published(grid):
    new = grid.publish(body=BODY)
    with grid.engine.connect() as connection:
        located = locate(connection, grid.fleet, [RecordKey("series-1")], Kind.RECORD)[RecordKey("series-1")]
    return grid, new, located


def source_of(grid, located):
    return ReplicaSource(grid.fleet, located, Reporter(grid.engine, grid.clock))


def test_reads_from_the_nearest_copy(published):
    grid, _, located = published
    source = source_of(grid, located)
    assert source.read(4, 5) == BODY[4:9]
    assert [grid.flaky[node].calls("get_range") > 1 for node in located.nodes] == [True, False, False]


def test_reading_at_the_end_is_as_long_as_the_index_says(published):
    grid, _, located = published
    source = source_of(grid, located)
    assert source.read(15, 1000) == BODY[15:]
    assert source.read(len(BODY), 10) == b""


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("get_range=missing", "suspicious"),
        ("get_range=down", "available"),
        ("get_range=refused", "available"),
    ],
)
def test_goes_on_with_the_next_copy(published, fault, state):
    grid, new, located = published
    grid.flaky[located.nodes[0]].script(fault)
    source = source_of(grid, located)
    assert source.read(0, 21) == BODY
    assert grid.states(new)[located.nodes[0]] == state
    assert grid.flaky[located.nodes[1]].calls("get_range") > 0


def test_a_truncated_copy_is_suspicious(published):
    grid, new, located = published
    grid.memory[located.nodes[0]].objects[new.name] = BODY[:10]
    assert source_of(grid, located).read(5, 10) == BODY[5:15]
    assert grid.states(new)[located.nodes[0]] == "suspicious"


def test_a_rejected_copy_is_not_read_again(published):
    grid, new, located = published
    grid.flaky[located.nodes[0]].script("get_range=lie")
    source = source_of(grid, located)
    assert source.read(0, 21) != BODY
    assert source.reject()
    assert source.read(0, 21) == BODY
    assert grid.states(new)[located.nodes[0]] == "suspicious"
    assert grid.states(new)[located.nodes[1]] == "available"


def test_a_node_that_answers_short_is_not_believed(published):
    grid, _, located = published
    grid.flaky[located.nodes[0]].script("get_range=short")
    assert source_of(grid, located).read(0, 21) == BODY


def test_when_every_copy_is_wrong_that_is_said_of_each(published):
    grid, _, located = published
    first, second, third = located.nodes
    grid.flaky[first].script("*=down")
    grid.flaky[second].script("get_range=missing")
    source = source_of(grid, located)
    source.read(0, 21)
    assert not source.reject("a digest does not match")
    with pytest.raises(NoCopyLeft) as caught:
        source.read(0, 21)
    for node in (first, second, third):
        assert f"{node}: " in str(caught.value)


def test_all_of_a_copy_can_be_held_against_the_index(published):
    grid, new, located = published
    source = source_of(grid, located)
    assert source.is_whole()
    grid.memory[located.nodes[0]].objects[new.name] = BODY[:-1] + b"?"
    assert not source.is_whole()
    assert source.reject()
    assert source.is_whole()


def test_reject_before_any_read_blames_nobody(published):
    grid, new, located = published
    assert source_of(grid, located).reject()
    assert set(grid.states(new).values()) == {"available"}


def test_a_read_goes_on_when_the_database_does_not(published):
    grid, _, located = published
    grid.flaky[located.nodes[0]].script("get_range=missing")
    source = source_of(grid, located)
    with grid.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE replica_copy")
    assert source.read(0, 21) == BODY


def test_a_node_that_is_no_longer_configured_is_passed_over(published):
    grid, _, located = published
    del grid.fleet._nodes[Kind.RECORD][located.nodes[0]]
    assert source_of(grid, located).read(0, 21) == BODY
