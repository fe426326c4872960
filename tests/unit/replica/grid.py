"""Three flaky nodes in memory on two sites, a clock that stands, and the index between them."""

import hashlib

import sqlalchemy as sa

from replica.context import Replicas
from replica.fleet import Fleet, Share
from replica.intent import commit_copies
from replica.latency import Latencies
from replica.placement import Rule
from replica.rules import Rules
from replica.store import put_with_quorum
from replica.tables import replica_copy, replica_object
from replica.values import NewObject, Stored
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey
from storage_nodes.testing.flaky import FlakyNode
from storage_nodes.testing.memory import MemoryNode
from storage_nodes.wrappers.verify import Proof


class Clock:
    def __init__(self):
        self.now_ms = 1_000_000_000

    def __call__(self):
        return self.now_ms

    def pass_seconds(self, seconds):
        self.now_ms += int(seconds * 1000)


class Patient(Latencies):
    """However slow the machine is, no second node is asked, unless a test says so."""

    def patience_seconds(self, kind, node, size_bytes):
        return 300


class Grid:
    """Nodes a, b in the east and c in the west (more by `sites`); rule: 3 copies, quorum 2."""

    def __init__(self, engine, sites=None, rule=Rule(3, 2), clock=None, capacity=None):  # noqa: B008 (frozen)
        self.engine = engine
        self.clock = clock or Clock()
        self.memory = {
            name: MemoryNode(name, site)
            for name, site in (sites or {"a": "east", "b": "east", "c": "west"}).items()
        }
        self.flaky = {name: FlakyNode(node) for name, node in self.memory.items()}
        nodes = {Kind.RECORD: self.flaky.values(), Kind.SEALED: self.flaky.values()}
        shares = {name: Share(capacity_bytes=most) for name, most in (capacity or {}).items()}
        self.fleet = Fleet(nodes, "east", self.clock, proof=Proof.READ_BACK, shares=shares)
        self.fleet.latencies = Patient()
        self.replicas = self.worker(rule)

    def worker(self, rule=None):
        rules = Rules(rule) if isinstance(rule, Rule) else rule or self.replicas.rules
        return Replicas(self.engine, self.fleet, rules, clock_ms=self.clock)

    def targets(self, new):
        rule = self.replicas.rules.of(new.kind, new.labels)
        return self.fleet.targets(new.kind, new.name, rule)

    def release(self):
        for node in self.flaky.values():
            node.release()

    def put(self, new, body, **timing):
        return put_with_quorum(self.replicas, new, body, **timing)

    def commit(self, stored):
        with self.engine.begin() as connection:
            commit_copies(connection, stored, self.clock())

    def publish(self, key="series-1", body=b"the bytes of a record", kind=Kind.RECORD, **timing):
        """Put and commit; returns the new object."""
        new = an_object(key, body, kind)
        stored = self.put(new, body, **timing)
        assert isinstance(stored, Stored), stored
        self.commit(stored)
        return new

    def states(self, new):
        """Node -> state of its copy, by the index."""
        query = (
            sa.select(replica_copy.c.node, replica_copy.c.state)
            .join(replica_object)
            .where(replica_object.c.name == new.name)
        )
        with self.engine.connect() as connection:
            return dict(connection.execute(query).all())

    def set_copy(self, new, node, **values):
        copy, row = replica_copy.c, replica_object.c
        object_id = sa.select(row.id).where(row.name == new.name).scalar_subquery()
        with self.engine.begin() as connection:
            connection.execute(
                sa.update(replica_copy).where(copy.object_id == object_id, copy.node == node).values(values)
            )

    def make_due(self, new):
        """Tell the fill worker to look at an object now."""
        with self.engine.begin() as connection:
            connection.execute(
                sa.update(replica_object)
                .where(replica_object.c.name == new.name)
                .values(fill_due_ms=self.clock())
            )

    def with_rule(self, **rule):
        """A worker under another rule."""
        return self.worker(Rule(**rule))

    def row(self, new):
        with self.engine.connect() as connection:
            return connection.execute(
                sa.select(replica_object).where(replica_object.c.name == new.name)
            ).one_or_none()

    def holders(self, new):
        """Nodes that really hold the right bytes."""
        return {
            name
            for name, node in self.memory.items()
            if hashlib.sha256(node.objects.get(new.name, b"")).digest() == new.sha256
        }


def an_object(key="series-1", body=b"the bytes of a record", kind=Kind.RECORD, layout=None):
    return NewObject(RecordKey(key), kind, len(body), hashlib.sha256(body).digest(), layout)
