"""Copies on folder nodes are damaged in every way: all of it is found by reading and by the scrub, nothing is
served, everything heals.

`make faults` damages 1,000 objects (DGIS_TEST_DAMAGED_OBJECTS), CI fewer.
"""

import hashlib
import os
import random
from collections import Counter

import pytest
import sqlalchemy as sa

from dgis import layouts
from dgis.retriever.records import Shelf
from replica import check, fill
from replica.context import Replicas
from replica.fleet import Fleet
from replica.intent import commit_copies, supersede
from replica.placement import Rule
from replica.rules import Rules
from replica.source import Reporter
from replica.store import put_with_quorum
from replica.tables import metadata, replica_copy
from replica.values import NewObject, Stored
from storage_nodes.addresses import Kind
from storage_nodes.folder import FolderNode
from storage_nodes.names import RecordKey
from storage_nodes.record.writer import write_record
from tests.tools.report import show
from tests.unit.replica.grid import Clock, Patient
from tests.unit.storage_nodes.record.builders import native, smooth

OBJECTS = int(os.environ.get("DGIS_TEST_DAMAGED_OBJECTS", "60"))
NODES = {"a": "east", "b": "east", "c": "west"}
DAY_SECONDS = 86_400


class Archive:
    """Three folder nodes, an index and records on them; what was published is remembered apart."""

    def __init__(self, folder, objects):
        self.folder = folder
        self.clock = Clock()
        self.engine = sa.create_engine(f"sqlite:///{folder}/index.sqlite")
        metadata.create_all(self.engine)
        nodes = [FolderNode(name, site, folder / name) for name, site in NODES.items()]
        for node in nodes:
            node.prepare()
        fleet = Fleet({Kind.RECORD: nodes}, "east", self.clock)
        fleet.latencies = Patient()  # asked instead of a slow node, another would hide what is damaged there
        self.replicas = Replicas(self.engine, fleet, Rules(Rule(3, 2)), clock_ms=self.clock)
        self.shelf = Shelf(self.engine, fleet, Reporter(self.engine, self.clock))
        self.old, self.published, self.layouts = {}, {}, {}
        for number in range(objects):
            key = RecordKey(f"series-{number}")
            self.old[key] = self._publish(key, number + objects)
            with self.engine.begin() as connection:
                supersede(connection, [key], self.clock())
            self.published[key] = self._publish(key, number)

    def _publish(self, key, seed):
        instance = native(0, smooth(24, 24, seed=seed))
        packed = write_record(key, [instance], manifest={})
        body = b"".join(packed.body)
        new = NewObject(key, Kind.RECORD, len(body), packed.sha256, layouts.to_json(packed.layout))
        stored = put_with_quorum(self.replicas, new, body, settle_seconds=300)
        assert isinstance(stored, Stored)
        with self.engine.begin() as connection:
            commit_copies(connection, stored, self.clock())
        self.layouts[key] = packed.layout
        return new, body, instance.before, instance.pixel.payloads[0]

    def reads_right(self, key):
        """Whether a reader gets the bytes that were packed."""
        data = b"".join(map(bytes, self.shelf.record(key).dataset(0)))
        _, _, header, frame = self.published[key]
        return data.startswith(header) and data.endswith(frame)

    def path(self, new, node):
        return self.folder / node / new.name

    def nearest(self, new):
        return self.replicas.fleet.nearest_first(Kind.RECORD, new.name, NODES)[0]

    def states(self):
        copy = replica_copy.c
        with self.engine.connect() as connection:
            return Counter(connection.scalars(sa.select(copy.state).where(copy.state != "obsolete")))

    def sound(self):
        """How many files of what is published are whole, looked at without any of the code under test."""
        return sum(
            hashlib.sha256(self.path(new, node).read_bytes()).digest() == new.sha256
            for new, *_ in self.published.values()
            for node in NODES
        )

    def heal(self):
        self.clock.pass_seconds(120)
        check.run_once(self.replicas, 10 * OBJECTS)
        return fill.run_once(self.replicas, 10 * OBJECTS)


def flip(archive, key, body, spot):
    return body[:spot] + bytes([body[spot] ^ 0x10]) + body[spot + 1 :]


def truncate(archive, key, body, spot):
    return body[:spot]


def zeros(archive, key, body, spot):
    """A block that never reached the disk."""
    return body[:spot] + bytes(len(body[spot : spot + 512])) + body[spot + 512 :]


def swap(archive, key, body, spot):
    """Another record under this name."""
    others = [each for each in archive.published if each != key]
    return archive.published[others[spot % len(others)]][1]


def older(archive, key, body, spot):
    """What was published under this key before."""
    return archive.old[key][1]


WAYS = (flip, truncate, zeros, swap, older)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    made = Archive(tmp_path_factory.mktemp("damage"), OBJECTS)
    yield made
    made.engine.dispose()


def damage(archive, rng, node_of, spot_of):
    """Damage one copy of every object; returns way -> how many."""
    done = Counter()
    for number, (key, (new, body, *_)) in enumerate(archive.published.items()):
        way = WAYS[number % len(WAYS)]
        wrong = way(archive, key, body, spot_of(rng, key, body))
        assert wrong != body
        archive.path(new, node_of(new)).write_bytes(wrong)
        done[way.__name__] += 1
    return done


def spot_that_is_read(archive):
    """A place in the index, the headers or the frames: what a reader reads who has the layout."""

    def choose(rng, key, body):
        layout = archive.layouts[key]
        extents = [layout.index, layout.headers, layout.frames]
        spots = [
            s for extent in extents for s in range(extent.start, extent.start + extent.length) if body[s]
        ]
        return rng.choice(spots)

    return choose


def spot_anywhere(rng, key, body):
    return rng.choice([spot for spot in range(len(body)) if body[spot]])


def test_all_damage_is_found_by_reading_and_none_is_served(archive, request):
    rng = random.Random(1)
    done = damage(archive, rng, archive.nearest, spot_that_is_read(archive))
    assert archive.sound() == 2 * OBJECTS
    wrong = sum(not archive.reads_right(key) for key in archive.published)
    found = archive.states()["suspicious"]
    healed = archive.heal()
    show(request, f"read: damaged {dict(done)}, found {found}, served {wrong}, healed {healed.copied}")
    assert (wrong, found, healed.copied) == (0, OBJECTS, OBJECTS)
    assert archive.sound() == 3 * OBJECTS
    assert archive.states() == {"available": 3 * OBJECTS}


def test_all_damage_is_found_by_the_scrub_and_heals(archive, request):
    rng = random.Random(2)
    done = damage(archive, rng, lambda _: rng.choice(list(NODES)), spot_anywhere)
    assert archive.sound() == 2 * OBJECTS
    archive.clock.pass_seconds(30 * DAY_SECONDS)
    found = check.run_once(archive.replicas, 10 * OBJECTS, archive.clock())
    healed = archive.heal()
    wrong = sum(not archive.reads_right(key) for key in archive.published)
    show(request, f"scrub: damaged {dict(done)}, found {found.bad}, served {wrong}, healed {healed.copied}")
    assert (found.bad, found.good, wrong, healed.copied) == (OBJECTS, 2 * OBJECTS, 0, OBJECTS)
    assert archive.sound() == 3 * OBJECTS
