"""One of three nodes is down, two, all, one is replaced by an empty one: publishing goes on while the quorum
holds, waits and says so while it does not, and everything heals by itself.

`make faults` does each 20 times (DGIS_TEST_NODE_OUTAGES), CI twice.
"""

import hashlib
import os
import random

import pytest

from dgis import overview
from dgis.publisher.tables import publish_part
from replica import check, clean, fill, move, review, survey
from replica.tables import replica_copy, replica_object
from storage_nodes.addresses import Kind
from tests.unit.dgis.site import CLEARED, Site, phantom, whole

TIMES = int(os.environ.get("DGIS_TEST_NODE_OUTAGES", "2"))
SEEDS = range(1, TIMES + 1)


class Gateway(Site):
    """A gateway whose worker's chores are called by hand, on a clock that stands."""

    def tend(self, hours=2):
        """Let time pass, with everything the worker does now and then."""
        replicas, publisher = self.grid.replicas, self.publisher()
        for _ in range(hours * 2):
            self.clock.pass_seconds(1800)
            self.grid.fleet.probe()
            while publisher.run_once():
                pass
            for kind in Kind:
                for node in self.grid.fleet.names(kind):
                    survey.survey(replicas, kind, node)
            review.run_once(replicas)
            for chore in (check, fill, move, clean):
                chore.run_once(replicas, limit=100)

    def waits(self):
        """The words that an operator reads."""
        with self.engine.connect() as connection:
            return [row["last_error"] for row in overview.waiting(connection, self.name)]

    def parts(self):
        return [row.state for row in self.rows(publish_part)]

    def whole_copies(self):
        """Per object: how many nodes hold the right bytes, looked at from outside."""
        return [
            sum(
                hashlib.sha256(node.objects.get(row.name, b"")).digest() == row.sha256
                for node in self.grid.memory.values()
            )
            for row in self.rows(replica_object)
        ]

    def script(self, nodes, script):
        for node in nodes:
            self.grid.flaky[node].script(script)

    def next_day(self):
        """Attempts that came to nothing are removed when nobody can be at them any more."""
        self.clock.pass_seconds(25 * 3600)
        clean.run_once(self.grid.replicas, limit=100)

    def all_is_well(self, images):
        self.next_day()
        assert set(self.whole_copies()) == {3}
        assert {row.state for row in self.rows(replica_copy)} == {"available"}
        assert set(self.parts()) == {"published"}
        assert self.waits() == []
        for node in self.grid.memory.values():
            assert len(node.objects) == len(self.rows(replica_object))
        assert len(self.refs(CLEARED)) == len(images)


@pytest.fixture
def gateway(tmp_path):
    made = Gateway(tmp_path)
    yield made
    made.close()


def some(seed, count):
    return random.Random(seed).sample("abc", count)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", ["*=down", "put=full", "put=refused", "put=lost"])
def test_one_down_and_publishing_goes_on(gateway, seed, fault):
    images = phantom(2)
    away = some(seed, 1)
    gateway.script(away, fault)
    gateway.publish(images)
    assert gateway.parts() == ["published"]
    assert gateway.whole_copies() == [2, 2]
    gateway.script(away, "")
    gateway.tend()
    gateway.all_is_well(images)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("down", [2, 3])
def test_below_the_quorum_it_waits_says_so_and_goes_on_by_itself(gateway, seed, down):
    images = phantom(2)
    away = some(seed, down)
    gateway.script(away, "*=down")
    gateway.publish(images)
    assert gateway.parts() == ["waiting"]
    (words,) = gateway.waits()
    assert f"{3 - down} of 2 copies needed could be put" in words
    for node in away:
        assert f"{node}: scripted to be down" in words
    refs = gateway.refs(CLEARED)
    sent = gateway.retriever(None).prepare(refs)  # cleared callers fetch from the cache meanwhile
    assert [whole(each) for each in sent] == [image.dataset for image in images]
    gateway.tend(hours=1)
    assert gateway.parts() == ["waiting"]
    gateway.script(away, "")
    gateway.tend()
    gateway.all_is_well(images)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_replaced_by_an_empty_one_is_filled(gateway, seed):
    images = phantom(2)
    gateway.publish(images)
    gateway.tend(hours=1)
    (node,) = some(seed, 1)
    gateway.grid.memory[node].objects.clear()
    gateway.tend()
    gateway.all_is_well(images)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_go_down_while_a_series_is_being_put(gateway, seed):
    images = phantom(2)
    at = random.Random(seed).randint(1, 4)
    gateway.script("abc", f"put:{at}+=down stat:{at}+=down")
    gateway.publish(images)
    gateway.tend(hours=1)
    gateway.script("abc", "")
    gateway.tend()
    gateway.all_is_well(images)
