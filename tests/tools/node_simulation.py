"""A seeded simulation of everything `replica` does: nodes and index in memory, a clock that is set.

One seed is one schedule: puts, commits, workers, decisions about nodes, changed rules, and a plan of faults
(nodes down or full, answers lost after the work was done, bits that rot, a node emptied, the process killed
between any two calls to a node or statements of the database). The checker keeps its own journal of what was
acknowledged and looks at the nodes' bytes.

`python -m tests.tools.node_simulation SEED` plays a schedule again and tells every step.
"""

import hashlib
import random
import sys
from collections import deque
from contextlib import suppress

import sqlalchemy as sa
import structlog
from sqlalchemy.pool import StaticPool

from replica import check, clean, dark, fill, leaving, move, review, survey
from replica.belonging import belongs_on
from replica.context import Replicas
from replica.fleet import Fleet
from replica.intent import IntentLost, commit_copies, supersede
from replica.locate import locate
from replica.placement import Rule
from replica.rows import read_entry
from replica.rules import Choice, Labels, Rules
from replica.source import Misbehaviour, mark_suspicious
from replica.standing import decide
from replica.store import put_with_quorum
from replica.tables import metadata, replica_copy, replica_dark, replica_node, replica_object
from replica.values import CopyState, NewObject, NodeState, Stored
from replica.weighing import weigh
from storage_nodes.addresses import Kind
from storage_nodes.errors import NodeError, NodeFull, NodeUnavailable
from storage_nodes.names import RecordKey
from storage_nodes.testing.memory import MemoryNode
from storage_nodes.wrappers.through import Through

SITES = {"a": "east", "b": "east", "c": "west", "d": "west", "e": "north"}
S3 = {"e"}
SPREAD, KINDS, FEW = Rule(3, 2, 2), Rule(2, 1, 2, (("s3", 1),)), Rule(2, 2)
RULE_SETS = (Rules(SPREAD), Rules(FEW), Rules(SPREAD, (Choice(KINDS, modalities=frozenset({"MR"})),)))
REMOVED = sa.select(replica_node.c.name).where(replica_node.c.state == NodeState.REMOVED)
STEPS = 40
LATER_MS = 2 * 3_600_000


class Killed(Exception):  # noqa: N818 (reads as what happened)
    """The process ends here; nothing of what is tested catches every exception."""


class World:
    """The clock, what goes wrong, and when the process is killed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.now_ms = 1_000_000_000
        self.calls_left = None
        self.calm = False

    def clock_ms(self):
        return self.now_ms

    def tick(self):
        """One call to a node or one statement; the last one the process lives to see, perhaps."""
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                self.calls_left = None
                raise Killed

    def strikes(self, probability):
        return not self.calm and self.rng.random() < probability


class SimulatedNode(Through):
    """A node in memory that fails by the world's plan."""

    def __init__(self, name, world):
        super().__init__(MemoryNode(name, SITES[name]))
        self.world = world
        self.down = self.full = False

    kind = property(lambda self: "s3" if self.name in S3 else "folder")
    objects = property(lambda self: self._inner.objects)

    def _call(self, work, *arguments):
        self.world.tick()
        if self.down:
            raise NodeUnavailable(self.name, "down")
        result = work(*arguments)
        self.world.tick()
        if self.world.strikes(0.02):
            raise NodeUnavailable(self.name, "its answer was lost")
        return result

    def put(self, *arguments):
        if self.full:
            raise NodeFull(self.name, "full")
        self._call(self._inner.put, *arguments)

    def get(self, name):
        return self._call(self._inner.get, name)

    def get_range(self, name, start, length):
        data = self._call(self._inner.get_range, name, start, length)
        return bytes([data[0] ^ 1]) + data[1:] if self.world.strikes(0.01) else data

    def stat(self, name):
        return self._call(self._inner.stat, name)

    def list(self, prefix=""):
        return iter(list(self._call(self._inner.list, prefix)))

    def delete(self, name):
        self._call(self._inner.delete, name)


class InTurn:
    """Runs the calls of a race one after another; a kill in one is a kill of all."""

    def __init__(self):
        self._done = deque()
        self.running = set()

    def start_all(self, calls):
        for name, call in calls.items():
            self.running.add(name)
            try:
                self._done.append((name, call()))
            except NodeError as error:
                self._done.append((name, error))

    def next(self, _seconds):
        if not self._done:
            return None
        name, outcome = self._done.popleft()
        self.running.discard(name)
        return name, outcome


def new_engine():
    """An index in memory; schedules that follow each other share it."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    metadata.create_all(engine)
    return engine


class Simulation:
    """One schedule."""

    def __init__(self, seed, engine, tell=lambda *_: None):
        self.world = World(seed)
        self.rng = self.world.rng
        self.engine = engine
        self.tell = tell
        with engine.begin() as connection:
            for table in (replica_copy, replica_object, replica_node, replica_dark):
                connection.execute(sa.delete(table))
        self.nodes = {name: SimulatedNode(name, self.world) for name in SITES}
        self.rules = self.rng.choice(RULE_SETS)
        self.kills = 0
        self.acknowledged = {}
        self.begun = {}
        self.out_of_service = None
        self.numbers = iter(range(1000))
        self.replicas = self.new_process()

    def new_process(self):
        fleet = Fleet({Kind.RECORD: self.nodes.values()}, "east", self.world.clock_ms)
        return Replicas(self.engine, fleet, self.rules, clock_ms=self.world.clock_ms, race=InTurn)

    def run(self):
        sa.event.listen(self.engine, "before_cursor_execute", self._tick)
        try:
            with structlog.testing.capture_logs():
                for _ in range(STEPS):
                    self._step()
                    self._check_nothing_lost()
                self._settle()
                self._check_all_is_well()
        finally:
            sa.event.remove(self.engine, "before_cursor_execute", self._tick)

    def _tick(self, *_):
        self.world.tick()

    def _step(self):
        action = self.rng.choices(ACTIONS, WEIGHTS)[0]
        self.world.calls_left = self.rng.randint(0, 40) if self.rng.random() < 0.2 else None
        self.tell(action.__name__, "" if self.world.calls_left is None else "(killed on the way)")
        try:
            action(self)
        except Killed:
            self.kills += 1
            self.replicas = self.new_process()
        self.world.calls_left = None
        self.world.now_ms += self.rng.choice((10, 1_000, 70_000, LATER_MS))

    # What is done.

    def put(self):
        number = next(self.numbers)
        body = b"%d:" % number + self.rng.randbytes(8)
        labels = Labels("North", self.rng.choice(("CT", "MR")))
        digest = hashlib.sha256(body).digest()
        new = NewObject(RecordKey(f"k{number}"), Kind.RECORD, len(body), digest, None, labels)
        self._put(new, body, None)

    def put_again(self):
        if self.begun:
            self._put(*self.rng.choice(list(self.begun.values())))

    def replace(self):
        """A new object under a key takes the place of the old one, in one transaction."""
        if not self.acknowledged:
            return
        old = self.rng.choice(list(self.acknowledged.values()))
        body = b"%d:" % next(self.numbers) + self.rng.randbytes(8)
        new = NewObject(old.record_key, old.kind, len(body), hashlib.sha256(body).digest(), None, old.labels)
        self._put(new, body, old)

    def _put(self, new, body, replaces):
        self.begun[new.name] = (new, body, replaces)
        stored = put_with_quorum(self.replicas, new, body)
        if not isinstance(stored, Stored):
            return
        if replaces is not None:
            # Nobody knows from here on which it is: an attempt repeated late replaces what came between.
            others = [each.name for each in self.acknowledged.values() if each.record_key == new.record_key]
            for name in others:
                del self.acknowledged[name]
        with suppress(IntentLost, sa.exc.IntegrityError):
            with self.engine.begin() as connection:
                if replaces is not None:
                    supersede(connection, [replaces.record_key], self.world.now_ms)
                commit_copies(connection, stored, self.world.now_ms)
            self.acknowledged[new.name] = new
            self.begun.pop(new.name)

    def fill(self):
        fill.run_once(self.replicas, 3)

    def check(self):
        check.run_once(self.replicas, 3)

    def scrub(self):
        check.run_once(self.replicas, 3, self.world.now_ms)

    def clean(self):
        clean.run_once(self.replicas, 5, intent_grace_ms=600_000, superseded_grace_ms=600_000)

    def review(self):
        review.run_once(self.replicas)

    def move(self):
        move.run_once(self.replicas, 3)

    def survey(self):
        for name in self.nodes:
            survey.survey(self.replicas, Kind.RECORD, name)
        dark.run_once(self.replicas, grace_ms=LATER_MS)

    def forget(self):
        leaving.forget_removed(self.replicas, 3)

    def weigh(self):
        weigh(self.engine)

    def read(self):
        """Read as a reader does who knows the digest; what was acknowledged is always found."""
        for new in self.rng.sample(list(self.acknowledged.values()), min(2, len(self.acknowledged))):
            with self.engine.connect() as connection:
                found = locate(connection, self.replicas.fleet, [new.record_key], Kind.RECORD)
            located = found[new.record_key]
            assert located.sha256 == new.sha256, "another object is found under its key"
            for name in located.nodes:
                with suppress(NodeError):
                    data = self.nodes[name].get_range(new.name, 0, new.size_bytes)
                    if hashlib.sha256(data).digest() == new.sha256:
                        break
                    with self.engine.begin() as connection:
                        found = Misbehaviour(located.object_id, name, "other bytes")
                        mark_suspicious(connection, found, self.world.now_ms)

    # What happens to it.

    def node_down(self):
        node = self.rng.choice(list(self.nodes.values()))
        node.down = not node.down and sum(each.down for each in self.nodes.values()) < 3

    def node_full(self):
        node = self.rng.choice(list(self.nodes.values()))
        node.full = not node.full

    def change_rules(self):
        self.rules = self.rng.choice(RULE_SETS)
        self.replicas = self.new_process()

    def rot(self):
        """A copy rots where all others that are believed good are."""
        candidates = [new for new in self.acknowledged.values() if self._believed(new) == self._good(new)]
        if candidates:
            new = self.rng.choice(candidates)
            good = sorted(self._good(new))
            if len(good) > 1:
                self._damage(new, self.rng.choice(good))

    def lose_a_node(self):
        """A node comes back empty, where everything on it is good elsewhere."""
        name = self.rng.choice(list(self.nodes))
        if self._nobody_needs(name):
            self.nodes[name].objects.clear()

    def _nobody_needs(self, name):
        everything = self.acknowledged.values()
        return all(self._believed(new) == self._good(new) != {name} for new in everything)

    def take_out(self):
        """Drain a node, spare it or give it up by force; one at a time, never the only one of its kind."""
        if self.out_of_service is None:
            self.out_of_service = self.rng.choice("abcd")
            states = [NodeState.DRAINING, NodeState.READ_ONLY]
            if self._nobody_needs(self.out_of_service):
                states.append(NodeState.REMOVED)
            self._decide(self.rng.choice(states))
        elif self.rng.random() < 0.5:
            self._decide(NodeState.ACTIVE)
            self.out_of_service = None

    def _decide(self, state):
        node = self.out_of_service
        with self.engine.begin() as connection:
            decide(connection, list(SITES), node, state, self.world.now_ms)

    def _damage(self, new, node):
        data = self.nodes[node].objects[new.name]
        wrong = (bytes([data[0] ^ 4]) + data[1:], data[:-1], bytes(len(data)), None)
        how = self.rng.choice(wrong)
        if how is None:
            del self.nodes[node].objects[new.name]
        else:
            self.nodes[node].objects[new.name] = how

    # What must hold.

    def _good(self, new):
        """The nodes with the right bytes; what is given up by force counts as gone."""
        return self._holding(new, self._not_removed())

    def _not_removed(self):
        with self.engine.connect() as connection:
            removed = set(connection.scalars(REMOVED))
        return [node for name, node in self.nodes.items() if name not in removed]

    def _holding(self, new, nodes):
        name = new.name
        held = ((node, node.objects.get(name, b"")) for node in nodes)
        return {node.name for node, data in held if hashlib.sha256(data).digest() == new.sha256}

    def _believed(self, new):
        with self.engine.connect() as connection:
            return set(
                connection.scalars(
                    sa.select(replica_copy.c.node)
                    .join(replica_object)
                    .where(replica_object.c.name == new.name, replica_copy.c.state == CopyState.AVAILABLE)
                )
            )

    def _check_nothing_lost(self):
        nodes = self._not_removed()
        for new in self.acknowledged.values():
            assert self._holding(new, nodes), f"{new.name} was acknowledged and no node has its bytes"

    def _settle(self):
        """The faults end; the workers go on."""
        self.world.calm = True
        for node in self.nodes.values():
            node.down = node.full = False
        self.replicas = self.new_process()
        for _ in range(30):
            self.world.now_ms += LATER_MS
            self.replicas.fleet.probe()
            for work in (self.survey, self.review, self.forget, self.scrub_all):
                work()
            for worker in (check, fill, move):
                worker.run_once(self.replicas, 100)
            clean.run_once(self.replicas, 100, intent_grace_ms=0, superseded_grace_ms=0)
            if self._is_quiet():
                return
        raise AssertionError("the workers never come to rest")

    def scrub_all(self):
        check.run_once(self.replicas, 100, self.world.now_ms)

    def _is_quiet(self):
        unsettled = (
            sa.select(sa.func.count()).where(replica_copy.c.state != CopyState.AVAILABLE),
            sa.select(sa.func.count()).where(
                replica_object.c.fill_due_ms.is_not(None)
                | replica_object.c.move_due_ms.is_not(None)
                | replica_object.c.committed_ms.is_(None)
                | replica_object.c.superseded_ms.is_not(None)
            ),
            sa.select(sa.func.count()).select_from(replica_dark),
        )
        with self.engine.connect() as connection:
            waits = any(connection.scalar(query) for query in unsettled)
        return not waits and not review.run_once(self.replicas).misplaced

    def _check_all_is_well(self):
        self._check_nothing_lost()
        with self.engine.connect() as connection:
            ids = list(connection.scalars(sa.select(replica_object.c.id)))
            entries = [read_entry(connection, object_id) for object_id in ids]
        live = {entry.name: entry for entry in entries}
        for new in self.acknowledged.values():
            entry = live[new.name]
            held = entry.nodes(CopyState.AVAILABLE)
            rule = self.rules.of(entry.kind, entry.labels)
            places = self.replicas.fleet.places(entry.kind, held)
            assert not rule.missing(places), f"{new.name} lies on {held}"
            assert set(held) == set(belongs_on(self.replicas, entry, held)), f"{new.name} lies on {held}"
            assert set(held) <= self._good(new)
        for name, node in self.nodes.items():
            if self.replicas.fleet.standing.of(name) is NodeState.REMOVED:
                continue
            known = {entry.name for entry in entries if name in entry.copies}
            assert set(node.objects) == known, f"dark on {name}: {set(node.objects) - known}"


PLAN = {
    Simulation.put: 8,
    Simulation.put_again: 3,
    Simulation.replace: 2,
    Simulation.fill: 5,
    Simulation.check: 4,
    Simulation.scrub: 3,
    Simulation.clean: 4,
    Simulation.review: 3,
    Simulation.move: 5,
    Simulation.survey: 2,
    Simulation.forget: 1,
    Simulation.weigh: 1,
    Simulation.read: 4,
    Simulation.node_down: 5,
    Simulation.node_full: 2,
    Simulation.change_rules: 1,
    Simulation.rot: 3,
    Simulation.lose_a_node: 1,
    Simulation.take_out: 2,
}
ACTIONS, WEIGHTS = list(PLAN), list(PLAN.values())


def main():
    """Play one schedule again."""
    Simulation(int(sys.argv[1]), new_engine(), print).run()


if __name__ == "__main__":
    main()
