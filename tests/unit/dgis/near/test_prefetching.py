"""Records brought near: what is read of them, what removes them, and what a job says of it."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.values import Event
from catalog.release import Asker, Releases
from catalog.tables import DEID
from dgis.jobs import queue
from dgis.jobs.prefetching import Bringing, Prefetching
from dgis.jobs.runner import Means, Runner
from dgis.jobs.subjects import subject_of
from dgis.jobs.values import Kind, Order, State
from dgis.keyholder.client import KeyholderClient
from dgis.keyholder.restore import Restorer
from dgis.keyholder.server import KeyholderServer
from dgis.near.copies import NearCopies
from dgis.near.tidying import tidy
from dgis.retriever.records import Shelf
from dgis.retriever.retriever import Retriever
from replica.source import Reporter
from replica.tables import replica_copy, replica_object
from tests.unit.dgis.commitment.asking import LEASE_MS, QUICK
from tests.unit.dgis.dimse.fakes import NoTranscoder
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom, whole

IMAGES = phantom(3)
PLENTY = 1 << 30


class Gateway:
    """A site whose study is published and no longer in the cache, with a place for near copies."""

    def __init__(self, site, most_bytes=PLENTY, free_bytes=PLENTY):
        self.site = site
        self.free_bytes = free_bytes
        self.near = NearCopies(site.home / "near", most_bytes, 1 << 20, lambda _path: self.free_bytes)
        self.reading = site.engine.execution_options(read_only=True)
        self.shelf = Shelf(self.reading, site.grid.fleet, Reporter(site.engine, site.clock), self.near)
        self.reads = []
        for node in site.grid.memory.values():
            node.get_range = self._counting(node.get_range)

    def _counting(self, take):
        def get_range(name, start, length):
            self.reads.append(str(name))
            return take(name, start, length)

        return get_range

    def runner(self):
        site = self.site
        return Runner(
            Means(
                site.engine,
                site.name,
                "DGIS",
                f"{site.name}/dicom",
                Releases(site.engine, f"{site.name}/dicom", site.clock),
                site.retriever(KeyholderClient(site.home / "nobody")),
                NoTranscoder(),
                {},
                site.clock,
                LEASE_MS,
                QUICK,
                Bringing(self.shelf, site.index),
            )
        )

    def ask(self, caller):
        uids = (IMAGES[0].study_uid, None)
        if caller is UNCLEARED:
            (study,) = self.site.rows(DEID.study)
            uids = (study.study_instance_uid, None)
        with self.site.engine.begin() as connection:
            now_ms = self.site.clock()
            subject = subject_of(connection, uids, Asker(caller, "127.0.0.1"), now_ms)
            order = Order(caller, "127.0.0.1", "", subject, Kind.PREFETCH)
            return queue.ask(connection, self.site.name, order, now_ms)

    def prefetch(self, caller):
        """Run a job to its end; what it shows then."""
        job_id = self.ask(caller)
        assert self.runner().run_once()
        return self.shown(job_id)

    def shown(self, job_id):
        with self.site.engine.connect() as connection:
            return queue.one(connection, job_id, None)

    def read(self, caller):
        """What a caller is given, by the near copies and the nodes."""
        restorer = Restorer(self.shelf, self.site.keys, 2)
        server = KeyholderServer(self.site.home / "k", restorer, self.site.pseudonymise)
        server.start()
        try:
            keyholder = KeyholderClient(self.site.home / "k")
            retriever = Retriever(self.reading, self.site.index, self.shelf, keyholder, self.site.clock)
            return [whole(each) for each in retriever.prepare(self.site.refs(caller))]
        finally:
            server.stop()
            restorer._threads.shutdown()

    def held(self):
        return sorted(each.name.partition("/")[0] for each in self.near.held())


@pytest.fixture
def published(site):
    site.publish(IMAGES)
    assert site.evict().instances == len(IMAGES)
    return site


@pytest.fixture
def gateway(published):
    return Gateway(published)


def test_what_is_near_is_read_from_no_node(gateway):
    deidentified = gateway.read(UNCLEARED)
    shown = gateway.prefetch(CLEARED)
    assert (shown["kind"], shown["state"], shown["completed"]) == ("prefetch", State.DONE, 3)
    assert gateway.held() == ["record", "sealed"]
    gateway.reads.clear()
    assert gateway.read(CLEARED) == [image.dataset for image in IMAGES]
    assert gateway.read(UNCLEARED) == deidentified
    assert gateway.reads == []


def test_who_may_have_the_deidentified_form_has_the_record_brought_alone(gateway):
    assert gateway.prefetch(UNCLEARED)["state"] == State.DONE
    assert gateway.held() == ["record"]


def test_nothing_that_identifies_lies_near(gateway):
    gateway.prefetch(CLEARED)
    lies = b"".join(path.read_bytes() for path in (gateway.site.home / "near").rglob("*") if path.is_file())
    assert lies
    assert b"DEMO-" not in lies
    assert IMAGES[0].sop_instance_uid.encode() not in lies


def test_a_second_job_asks_no_node(gateway):
    gateway.prefetch(CLEARED)
    gateway.reads.clear()
    assert gateway.prefetch(CLEARED)["state"] == State.DONE
    assert gateway.reads == []


def test_originals_in_the_cache_are_near_already(site):
    site.publish(IMAGES)
    gateway = Gateway(site)
    assert gateway.prefetch(CLEARED)["completed"] == 3
    assert gateway.held() == []


def test_a_copy_that_rotted_near_is_read_from_the_nodes_and_goes(gateway):
    gateway.prefetch(CLEARED)
    for path in (gateway.site.home / "near").rglob("*"):
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 0xFF
            path.write_bytes(bytes(data))
    assert gateway.read(CLEARED) == [image.dataset for image in IMAGES]
    assert gateway.reads
    assert "sealed" not in gateway.held()
    with gateway.site.engine.connect() as connection:
        states = set(connection.scalars(sa.select(replica_copy.c.state)))
    assert states <= {"available", "copying"}  # no node is blamed for it


def test_a_node_that_lies_is_not_copied_from(gateway):
    objects = gateway.site.grid.memory["a"].objects
    for name, data in list(objects.items()):
        objects[name] = bytes(data[:-1]) + bytes([data[-1] ^ 1])
    assert gateway.prefetch(CLEARED)["state"] == State.DONE
    assert gateway.held() == ["record", "sealed"]
    gateway.reads.clear()
    assert gateway.read(CLEARED) == [image.dataset for image in IMAGES]
    assert gateway.reads == []


def test_what_there_is_no_room_for_is_said_and_not_kept(published):
    gateway = Gateway(published, most_bytes=1000)
    shown = gateway.prefetch(UNCLEARED)
    assert (shown["state"], shown["failed"]) == (State.FAILED, 3)
    assert "cache.prefetch_bytes" in shown["last_error"]
    assert gateway.held() == []
    assert gateway.read(CLEARED) == [image.dataset for image in IMAGES]


def test_images_that_come_in_have_the_disk_first(gateway):
    gateway.prefetch(CLEARED)
    gateway.free_bytes = (1 << 20) - 1
    assert tidy(gateway.site.engine, gateway.near) == 2
    assert gateway.held() == []
    assert gateway.prefetch(UNCLEARED)["state"] == State.FAILED


def test_what_was_used_longest_ago_makes_room_but_not_for_its_own_job(published):
    gateway = Gateway(published)
    gateway.prefetch(CLEARED)
    sizes = {each.name.partition("/")[0]: each.size for each in gateway.near.held()}
    small = NearCopies(published.home / "near", sum(sizes.values()) - 1, 0)
    shelf = Shelf(gateway.reading, published.grid.fleet, Reporter(published.engine, published.clock), small)
    (old, *_rest) = small.held()
    small.drop(old.name)
    run = Prefetching(Bringing(shelf, published.index), lambda _tally: True, 0)
    tally = run.run(published.refs(CLEARED), ())
    assert tally.failed == 3  # what it found here counts as brought by it
    later = Prefetching(Bringing(shelf, published.index), lambda _tally: True, 1 << 60)
    later.run(published.refs(CLEARED), ())
    assert len(small.held()) == 1  # each made room for the other
    assert sum(each.size for each in small.held()) <= small.most_bytes


@pytest.mark.parametrize("change", [{"removing_ms": 1, "superseded_ms": 1}, None])
def test_what_is_no_longer_in_the_grid_goes(gateway, change):
    gateway.prefetch(CLEARED)
    assert tidy(gateway.site.engine, gateway.near) == 0
    with gateway.site.engine.begin() as connection:
        if change is None:
            connection.execute(sa.delete(replica_copy))
            connection.execute(sa.delete(replica_object))
        else:
            connection.execute(sa.update(replica_object).values(**change))
    assert tidy(gateway.site.engine, gateway.near) == 2
    assert gateway.held() == []


def test_a_job_that_is_to_stop_brings_no_more(gateway):
    run = Prefetching(Bringing(gateway.shelf, gateway.site.index), lambda _tally: False, 0)
    tally = run.run(gateway.site.refs(CLEARED), ())
    assert (run.stopped, tally.completed, tally.remaining) == (True, 0, 3)
    assert gateway.held() == []


def test_what_no_node_gives_fails_in_words(gateway):
    for node in gateway.site.grid.memory.values():
        node.objects.clear()
    shown = gateway.prefetch(CLEARED)
    assert (shown["state"], shown["failed"]) == (State.FAILED, 3)
    assert shown["last_error"].startswith("no copy can be read")


def test_who_loses_the_right_meanwhile_has_nothing_brought(gateway):
    with gateway.site.engine.begin() as connection:
        now_ms = gateway.site.clock()
        subject = subject_of(connection, (IMAGES[0].study_uid, None), Asker(CLEARED, "127.0.0.1"), now_ms)
        less = replace(CLEARED, may=UNCLEARED.may)
        order = Order(less, "127.0.0.1", "", subject, Kind.PREFETCH)
        job_id = queue.ask(connection, gateway.site.name, order, now_ms)
    gateway.runner().run_once()
    assert gateway.shown(job_id)["state"] == State.FAILED
    assert gateway.held() == []


def test_the_trail_has_it_and_no_release(gateway):
    gateway.prefetch(CLEARED)
    with gateway.site.engine.connect() as connection:
        entries = [entry.happening for entry in trail.latest(connection, 20)]
    (ended,) = [each for each in entries if each.event is Event.RETRIEVE]
    assert (ended.detail["what"], ended.detail["state"], ended.detail["completed"]) == ("prefetch", "done", 3)
    assert ended.patients
    assert not [each for each in entries if each.event in {Event.RELEASE, Event.TRANSFER}]
