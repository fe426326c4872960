import threading

import pytest
import sqlalchemy as sa

from catalog.tables import PHI
from deid.keys.values import KeyMissing
from dgis.keyholder.client import KeyholderClient
from dgis.keyholder.protocol import KeyholderGone
from dgis.keyholder.server import KeyholderServer
from dgis.retriever.outgoing import SealedRun
from dgis.retriever.records import NotHere
from dgis.tables import cache_series
from replica.tables import replica_copy, replica_object
from storage_nodes.addresses import Kind
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom, whole


@pytest.fixture
def keyholder(site, tmp_path):
    server = KeyholderServer(tmp_path / "k", site.restorer, site.pseudonymise)
    server.start()
    yield KeyholderClient(tmp_path / "k")
    server.stop()


@pytest.fixture
def published(site):
    """Three images, published and no longer in the cache."""
    images = phantom(3)
    site.publish(images)
    assert site.evict().instances == 3
    return images


def gathered(sendable):
    """The data set as a door takes it: every piece is held until the last has come."""
    return whole(sendable)


def spoil(site, kind, nodes="abc", at=0.5):
    """Flip a byte of every object of a kind on some nodes."""
    for node in nodes:
        objects = site.grid.memory[node].objects
        for name in [name for name in objects if name.startswith(f"{kind}/")]:
            data = bytearray(objects[name])
            data[int(len(data) * at)] ^= 0xFF
            objects[name] = bytes(data)


def states(site, kind):
    with site.engine.connect() as connection:
        rows = connection.execute(
            sa.select(replica_copy.c.node, replica_copy.c.state)
            .join(replica_object)
            .where(replica_object.c.kind == kind)
        )
        return {row.node: str(row.state) for row in rows}


def test_originals_come_from_the_cache_without_a_worker(site, tmp_path):
    images = phantom(3)
    site.receive(images)
    prepared = site.retriever(KeyholderClient(tmp_path / "nobody")).prepare(site.refs(CLEARED))
    assert [gathered(each) for each in prepared] == [image.dataset for image in images]
    assert [each.length for each in prepared] == [len(image.dataset) for image in images]


def test_originals_come_out_of_their_seal_in_one_request(site, keyholder, published, monkeypatch):
    asked = []
    restore = keyholder.restore
    monkeypatch.setattr(keyholder, "restore", lambda *said: asked.append(said) or restore(*said))
    prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
    assert [gathered(each) for each in prepared] == [image.dataset for image in published]
    assert [positions for _key, positions in asked] == [(0, 1, 2)]


def test_originals_may_be_taken_in_any_order_and_left_half_read(site, keyholder, published):
    prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
    assert gathered(prepared[2]) == published[2].dataset
    half = iter(prepared[0].open())
    next(half)
    assert gathered(prepared[1]) == published[1].dataset
    assert gathered(prepared[0]) == published[0].dataset


def test_what_is_cached_is_not_asked_of_the_worker(site, keyholder, monkeypatch):
    images = phantom(3)
    site.publish(images)
    asked = []
    restore = keyholder.restore
    monkeypatch.setattr(keyholder, "restore", lambda *said: asked.append(said[1]) or restore(*said))
    refs = site.refs(CLEARED)
    located = site.index.locate

    def all_but_the_first(connection, wanted):
        found = located(connection, wanted)
        found.pop(refs[0].phi_instance_id)
        return found

    monkeypatch.setattr(site.index, "locate", all_but_the_first)
    prepared = site.retriever(keyholder).prepare(refs)
    assert [gathered(each) for each in prepared] == [image.dataset for image in images]
    assert asked == [(0,)]


def test_evicted_between_the_look_and_the_opening(site, keyholder):
    images = phantom(3)
    site.publish(images)
    prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
    assert site.evict().instances == 3
    assert [gathered(each) for each in prepared] == [image.dataset for image in images]


def test_a_rotten_cache_is_answered_from_the_grid(site, keyholder):
    images = phantom(2)
    site.publish(images)
    prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
    rot(site, images[0])
    assert [gathered(each) for each in prepared] == [image.dataset for image in images]


def test_a_rotten_cache_with_nothing_in_the_grid_gives_no_byte(site, keyholder):
    images = phantom(2)
    site.receive(images)
    prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
    rot(site, images[0])
    with pytest.raises(NotHere, match="not in the cache"):
        next(iter(prepared[0].open()))
    assert gathered(prepared[1]) == images[1].dataset


def rot(site, image):
    with site.engine.connect() as connection:
        (cached,) = site.index.locate_uid(connection, image.sop_instance_uid)
    path = site.log.files.path(cached.location.segment_id)
    with path.open("r+b") as file:
        file.seek(cached.location.position + cached.location.data_offset + 1000)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))


def test_the_deidentified_form_is_the_same_from_wherever_it_is_read(site, keyholder, published):
    refs = site.refs(UNCLEARED)
    prepared = site.retriever(keyholder).prepare(refs)
    first = [gathered(each) for each in prepared]
    assert [len(data) for data in first] == [each.length for each in prepared]
    assert all(image.pixels in data for image, data in zip(published, first, strict=True))
    site.grid.flaky["a"].script("*=down")
    assert [gathered(each) for each in site.retriever(keyholder).prepare(refs)] == first


@pytest.mark.parametrize("at", [0.02, 0.3, 0.9])
def test_a_damaged_record_is_read_from_the_next_copy_and_reported(site, keyholder, published, at):
    refs = site.refs(UNCLEARED)
    good = [gathered(each) for each in site.retriever(keyholder).prepare(refs)]
    spoil(site, Kind.RECORD, "a", at)
    assert [gathered(each) for each in site.retriever(keyholder).prepare(refs)] == good
    assert set(states(site, Kind.RECORD).values()) <= {"available", "suspicious"}


def test_damage_is_reported_once_and_never_read_again(site, keyholder, published):
    spoil(site, Kind.RECORD, "ab", 0.5)
    refs = site.refs(UNCLEARED)
    for each in site.retriever(keyholder).prepare(refs):
        gathered(each)
    assert states(site, Kind.RECORD) == {"a": "suspicious", "b": "suspicious", "c": "available"}


def test_nothing_wrong_is_given_when_every_copy_is_damaged(site, keyholder, published):
    good = [gathered(each) for each in site.retriever(keyholder).prepare(site.refs(UNCLEARED))]
    spoil(site, Kind.RECORD)
    for caller, right in ((UNCLEARED, good), (CLEARED, [image.dataset for image in published])):
        told = [had(each) for each in site.retriever(keyholder).prepare(site.refs(caller))]
        assert any(isinstance(each, NotHere) for each in told)
        assert all(isinstance(each, NotHere) or each in right for each in told)


def had(sendable):
    try:
        return gathered(sendable)
    except NotHere as refusal:
        return refusal


@pytest.mark.parametrize("at", [0.01, 0.1, 0.5, 0.95])
def test_a_damaged_companion_is_read_from_the_next_copy(site, keyholder, published, at):
    spoil(site, Kind.SEALED, "a", at)
    prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
    assert [gathered(each) for each in prepared] == [image.dataset for image in published]


def test_a_companion_that_names_another_key_is_read_from_the_next_copy(site, keyholder, published):
    name = site.rows(PHI.series)[0].patient_key.encode()
    other = bytes([name[0] ^ 1]) + name[1:]  # as good a name, of no patient
    for node in "abc":  # until it was that of the nearest
        objects = site.grid.memory[node].objects
        good = dict(objects)
        for each in [each for each in objects if each.startswith(f"{Kind.SEALED}/")]:
            assert objects[each].count(name) == 1
            objects[each] = objects[each].replace(name, other)
        site.restorer.forget()
        prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
        assert [gathered(each) for each in prepared] == [image.dataset for image in published]
        objects.update(good)
        if "suspicious" in states(site, Kind.SEALED).values():
            break
    assert states(site, Kind.SEALED)[node] == "suspicious"


def test_a_key_that_is_not_there_is_no_fault_of_the_copies(site, keyholder, published, monkeypatch):
    def missing(name):
        raise KeyMissing(name)

    monkeypatch.setattr(site.keys, "get", missing)
    site.restorer.forget()
    prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
    with pytest.raises(NotHere, match="no key store that answers"):
        gathered(prepared[0])
    assert set(states(site, Kind.SEALED).values()) == {"available"}


def test_companions_that_are_all_damaged_give_a_clear_refusal(site, keyholder, published):
    spoil(site, Kind.SEALED, at=0.05)
    prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
    with pytest.raises(NotHere, match=r"every copy is damaged|no copy can be read"):
        gathered(prepared[0])


def test_a_destroyed_key_is_refused_at_once_even_for_what_is_open(site, keyholder, published):
    prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
    assert gathered(prepared[0]) == published[0].dataset
    site.keys.shred(site.rows(PHI.series)[0].patient_key, site.clock())
    with pytest.raises(NotHere, match="key was destroyed"):
        gathered(site.retriever(keyholder).prepare(site.refs(CLEARED))[1])


def test_a_worker_that_is_away_is_said_and_tried_again(site, tmp_path, published):
    away = site.retriever(KeyholderClient(tmp_path / "later")).prepare(site.refs(CLEARED))
    with pytest.raises(KeyholderGone):
        gathered(away[0])
    server = KeyholderServer(tmp_path / "later", site.restorer, site.pseudonymise)
    server.start()
    try:
        assert [gathered(each) for each in away[1:]] == [image.dataset for image in published[1:]]
    finally:
        server.stop()


def test_a_failure_in_the_middle_of_a_run_costs_that_instance_only(site, keyholder, published):
    refs = site.refs(CLEARED)
    run = SealedRun(keyholder, refs[0].record_key, [0, 99, 2])
    assert b"".join(run.chunks(0)) == published[0].dataset
    with pytest.raises(NotHere):
        b"".join(run.chunks(1))
    assert b"".join(run.chunks(2)) == published[2].dataset


def test_many_retrieves_at_once(site, keyholder, published):
    spoil(site, Kind.SEALED, "a", 0.5)
    spoil(site, Kind.RECORD, "b", 0.5)
    given = []

    def retrieve():
        prepared = site.retriever(keyholder).prepare(site.refs(CLEARED))
        given.append([gathered(each) for each in prepared])

    threads = [threading.Thread(target=retrieve) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == [[image.dataset for image in published]] * 6


def test_what_was_read_is_noted_for_the_eviction(site, keyholder):
    site.receive(phantom(1))
    site.clock.pass_seconds(100)
    site.retriever(keyholder).prepare(site.refs(CLEARED))
    with site.engine.begin() as connection:
        site.index.write_used(connection)
    assert [row.last_used_ms for row in site.rows(cache_series)] == [site.clock()]
