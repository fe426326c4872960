import pytest

from dgis.watch.figures import NODE_ERRORS, NODE_SECONDS
from dgis.watch.nodes import NodeHealth, Timed
from replica.fleet import Fleet
from storage_nodes.addresses import Kind
from storage_nodes.errors import NodeFull, NodeUnavailable, ObjectMissing
from storage_nodes.names import ObjectName
from storage_nodes.testing.memory import MemoryNode
from storage_nodes.wrappers.through import Through
from tests.unit.dgis.site import digest

NAME = ObjectName("record/thing")


class Broken(Through):
    def get(self, name):
        raise NodeUnavailable(self.name, "does not answer")


def calls(node, call):
    return sum(
        sample.value
        for sample in NODE_SECONDS.labels(node, "record", call)._child_samples()
        if sample.name == "_count"
    )


def errors(node, error):
    return NODE_ERRORS.labels(node, "record", error)._value.get()


def test_calls_are_counted_and_the_node_stays_a_node():
    node = Timed(MemoryNode("timed-a"), Kind.RECORD)
    node.put(NAME, b"1234", digest(b"1234"))
    assert node.get(NAME) == b"1234"
    assert node.get_range(NAME, 1, 2) == b"23"
    assert node.stat(NAME).size == 4
    node.delete(NAME)
    assert [calls("timed-a", call) for call in ("put", "get", "get_range", "stat", "delete")] == [1] * 5


def test_a_failed_call_counts_with_its_error_and_is_passed_on():
    node = Timed(Broken(MemoryNode("timed-b")), Kind.RECORD)
    with pytest.raises(NodeUnavailable):
        node.get(NAME)
    assert (calls("timed-b", "get"), errors("timed-b", "NodeUnavailable")) == (1, 1)


def test_a_probe_that_finds_nothing_is_no_error_and_a_missing_object_is():
    node = Timed(MemoryNode("timed-c"), Kind.RECORD)
    with pytest.raises(ObjectMissing):
        node.stat(NAME)
    assert errors("timed-c", "ObjectMissing") == 0
    with pytest.raises(ObjectMissing):
        node.get(NAME)
    assert errors("timed-c", "ObjectMissing") == 1


def test_health_is_told_by_node_and_kind():
    now = [1_000_000]
    nodes = {kind: [MemoryNode("a"), MemoryNode("b")] for kind in Kind}
    fleet = Fleet(nodes, "east", lambda: now[0])
    fleet.health.failed(Kind.RECORD, "a", NodeUnavailable("a", "does not answer"))
    fleet.health.failed(Kind.SEALED, "b", NodeFull("b", "full"))

    def told():
        return {
            (family.name, sample.labels["node"], sample.labels["kind"])
            for family in NodeHealth(fleet).collect()
            for sample in family.samples
            if sample.value
        }

    up = {("dgis_node_up", node, kind.value) for node in "ab" for kind in Kind}
    down = ("dgis_node_up", "a", "record")
    assert told() == (up - {down}) | {
        ("dgis_node_breaker_open", "a", "record"),
        ("dgis_node_full", "b", "sealed"),
    }
    now[0] += 3_600_000
    assert told() == up - {down}
