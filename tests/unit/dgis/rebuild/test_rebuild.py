"""A database made anew from nodes and key store says what it said before, and nothing of who is gone."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from catalog.callers import Assertions
from catalog.tables import DEID, PHI, grants
from dgis.departed.notes import Teller
from dgis.keyholder.protocol import RestoreRequest
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.rebuild.rebuilder import NodesMissing
from dgis.rebuild.tables import rebuild_part, rebuild_run
from dgis.rebuild.values import Trouble
from dgis.review.values import Choice
from dgis.tables import publish_job
from replica.tables import replica_copy, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Address, Kind
from tests.tools import burned_in
from tests.unit.dgis.erasure.erasing import patient_key, shred
from tests.unit.dgis.rebuild.building import rebuild
from tests.unit.dgis.rebuild.databases import catalog, put_back, saved
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom, whole

OTHERS = Assertions(issuer="gateway-1", user="ct", department="Oncology", institution="Second Hospital")


def different(before, after):
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


def assert_same(before, site):
    assert different(before, catalog(site.engine)) == {}


def lived(desk, site):
    """A site that has seen it all: contributors, late images, reviews, an erasure, who came back."""
    site.publish([*phantom(3, person=0), *phantom(4, person=1, seed=2), *burned_in.series(4)])
    site.clock.pass_seconds(5)
    site.receive(phantom(2, person=2, seed=7), assertions=OTHERS)
    site.publish(phantom(6, person=1, seed=2)[4:])  # late images of a series: another part
    site.clock.pass_seconds(5)
    first, second, third, _fourth = desk.keys()
    desk.say([first, second], Choice.RELEASE)
    desk.carry_out()
    site.clock.pass_seconds(5)
    desk.say([second], Choice.WITHDRAW)
    desk.say([third], Choice.KEEP)
    site.clock.pass_seconds(5)
    shred(site, patient_key(site, phantom(3, person=0)[0]))
    site.clock.pass_seconds(5)
    site.publish([*phantom(3, person=0)[:2], *phantom(1, person=0, seed=11)])
    Teller(site.engine, site.grid.fleet, site.clock).run_once()


def forget_removed_companions(site):
    """What an erasure retires is deleted from the nodes an hour later."""
    with site.engine.connect() as connection:
        retired = sa.select(replica_object.c.name).where(replica_object.c.superseded_ms.is_not(None))
        names = connection.scalars(retired).all()
    assert names
    for node in site.grid.memory.values():
        for name in names:
            node.objects.pop(name, None)


@pytest.mark.parametrize("removed", [False, True], ids=["companions left", "companions removed"])
@pytest.mark.parametrize("when", ["empty", "of the beginning", "of now"])
def test_the_catalog_is_what_it_was(desk, site, when, removed):
    old = {}
    if when == "of the beginning":
        site.publish(phantom(3, person=0))
        site.receive(phantom(4, person=1, seed=2))
        site.plan()
        old = saved(site.engine)
    lived(desk, site)
    before = catalog(site.engine)
    if removed:
        forget_removed_companions(site)
    put_back(site.engine, saved(site.engine) if when == "of now" else old)
    site.restorer.forget()
    report = rebuild(site)
    assert report.complete, report.as_json()
    assert_same(before, site)
    gone = {image.sop_instance_uid for image in phantom(3, person=0)[2:]}
    assert not gone & {row.sop_instance_uid for row in site.rows(PHI.instance)}
    assert rebuild(site).complete
    assert_same(before, site)


def test_the_comparison_sees_one_changed_value(site):
    site.publish(phantom(2))
    before = catalog(site.engine)
    assert [len(before[name]) for name in ("phi_instance", "deid_instance", "deid_series")] == [2, 2, 1]
    with site.engine.begin() as connection:
        connection.execute(sa.update(DEID.series).values(modality="XX"))
    assert set(different(before, catalog(site.engine))) == {"deid_series"}


def originals(site, images):
    """What the cleared get of some images once nothing lies in the cache."""
    site.evict()
    site.restorer.forget()
    retriever = site.retriever(Restoring(site))
    return [
        whole(retriever.prepare(site.refs(CLEARED, image))[0])
        for image in images
        if site.refs(CLEARED, image)
    ]


class Restoring:
    """The keyholder's client, without a socket between."""

    def __init__(self, site):
        self.site = site

    def restore(self, key, positions):
        return self.site.restorer(RestoreRequest(key, tuple(positions)))


def test_rules_of_placement_find_what_they_look_at(site):
    site.publish(phantom(2))
    labels = sa.select(replica_object.c.kind, replica_object.c.facility, replica_object.c.modality)

    def labelled():
        with site.engine.connect() as connection:
            return sorted(map(tuple, connection.execute(labels)))

    before = labelled()
    assert all(facility and modality for _kind, facility, modality in before)
    put_back(site.engine, {})
    assert rebuild(site).complete
    assert labelled() == before


def test_what_was_rebuilt_is_given_back_byte_for_byte(site):
    images = [*phantom(3), *burned_in.series(2)]
    site.publish(images)
    put_back(site.engine, {})
    assert rebuild(site).complete
    assert originals(site, images) == [image.dataset for image in images]
    assert [row.pending_instances for row in site.rows(publish_job)] == [0, 0]
    assert {row.gateway_id for row in site.rows(publish_part)} == {site.name}


def test_what_a_publisher_contributed_is_open_to_it_again(site):
    site.publish(phantom(2))
    given = [row for row in site.rows(grants) if row.origin.startswith("publisher:")]
    put_back(site.engine, {})
    rebuild(site)
    again = [row for row in site.rows(grants) if row.origin.startswith("publisher:")]
    assert [(row.who_key, row.may_phi) for row in again] == [(row.who_key, row.may_phi) for row in given]


def test_nodes_alone_give_the_de_identified_half(site):
    site.publish([*phantom(3), *burned_in.series(2)])
    before = catalog(site.engine)
    put_back(site.engine, {})
    report = rebuild(site, keys=False)
    assert not report.keys
    assert report.forms == 3
    assert site.rows(PHI.instance) == []
    after = catalog(site.engine)
    plain = [[pair for pair in row if pair[0] != "contributor"] for row in before["deid_instance"]]
    assert [[pair for pair in row if pair[0] != "contributor"] for row in after["deid_instance"]] == plain
    assert [dict(row)["patient_key"] for row in after["deid_patient"]] == [
        dict(row)["patient_key"] for row in before["deid_patient"]
    ]


def test_the_keys_that_come_later_bring_the_originals(site):
    site.publish(phantom(3))
    before = catalog(site.engine)
    put_back(site.engine, {})
    rebuild(site, keys=False)
    assert rebuild(site).complete
    assert catalog(site.engine)["phi_instance"] == before["phi_instance"]


def objects(site, kind):
    return sorted(name for name in site.grid.memory["a"].objects if name.startswith(f"{kind}/"))


def spoil(site, name, nodes, change):
    for node in nodes:
        held = site.grid.memory[node].objects
        held[name] = change(held[name])


DAMAGES = {
    "cut": lambda data: data[:-100],
    "zeros": lambda data: bytes(len(data)),
    "a bit in front": lambda data: data[:80] + bytes([data[80] ^ 1]) + data[81:],
    "another object": lambda _data: b"no object of ours at all",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["record", "sealed"])
def test_a_damaged_copy_is_passed_over_and_known_to_be_bad(site, kind, damage):
    site.publish(phantom(3))
    before = catalog(site.engine)
    (name,) = objects(site, kind)
    spoil(site, name, ["a"], DAMAGES[damage])
    put_back(site.engine, {})
    assert rebuild(site).complete
    assert_same(before, site)
    states = {(row.node, row.state) for row in site.rows(replica_copy) if row.state != CopyState.AVAILABLE}
    bad = {node for node, _state in states}
    # One bit is seen where it is read; where another copy was read first, the scrub finds it.
    assert bad == {"a"} or (not bad and damage == "a bit in front")
    assert originals(site, phantom(3)) == [image.dataset for image in phantom(3)]


@pytest.mark.parametrize("kind", ["record", "sealed"])
def test_an_object_without_a_good_copy_waits_for_one(site, kind):
    site.publish(phantom(3))
    before = catalog(site.engine)
    (name,) = objects(site, kind)
    good = site.grid.memory["c"].objects[name]
    spoil(site, name, "abc", DAMAGES["zeros"])
    put_back(site.engine, {})
    report = rebuild(site)
    assert not report.complete
    assert report.objects.damaged == 1
    words = {"record": Trouble.NO_RECORD, "sealed": Trouble.NO_COMPANION}
    assert report.as_json()["troubles"] == {words[kind]: 1}
    assert site.rows(PHI.instance) == []
    site.grid.memory["c"].objects[name] = good
    assert rebuild(site).complete
    assert_same(before, site)


def test_every_copy_is_hashed_where_that_is_asked_for(site):
    site.publish(phantom(2))
    (name,) = objects(site, "record")
    spoil(site, name, ["b"], lambda data: data[:-1000] + bytes(10) + data[-990:])
    put_back(site.engine, {})
    assert rebuild(site, verify=True).objects.bad_copies == 1
    bad = {(row.node, row.state) for row in site.rows(replica_copy) if row.state == CopyState.BAD}
    assert bad == {("b", "bad")}
    assert all(row.verified_ms for row in site.rows(replica_copy) if row.state == CopyState.AVAILABLE)


def test_a_second_companion_of_a_part_is_left_alone(site):
    """An attempt that died left one; the committed one lies on more nodes."""
    site.publish(phantom(2))
    before = catalog(site.engine)
    (name,) = objects(site, "sealed")
    address = Address.parse(name)
    other = replace(address, sha256=bytes(32))
    site.grid.memory["a"].objects[other.name] = site.grid.memory["a"].objects[name]
    put_back(site.engine, {})
    report = rebuild(site)
    assert report.objects.duplicates + report.objects.taken == 3
    assert_same(before, site)
    live = [row.name for row in site.rows(replica_object) if row.kind == Kind.SEALED]
    assert live == [name]


def test_a_node_that_is_away_is_said_and_its_copies_come_later(site):
    site.publish([*phantom(2), *phantom(2, person=1, seed=3)])
    before = catalog(site.engine)
    put_back(site.engine, {})
    site.grid.flaky["b"].script("*=down")
    report = rebuild(site)
    assert set(report.unreachable) == {"b"}
    assert not report.complete
    assert_same(before, site)
    site.grid.flaky["b"].script("")
    report = rebuild(site)
    assert report.complete
    assert report.objects.copies_added == 2
    found = [row.state for row in site.rows(replica_copy) if row.node == "b"]
    assert found.count(CopyState.SUSPICIOUS) == 2  # looked at before anybody reads them


def test_too_few_nodes_make_nothing(site):
    site.publish(phantom(2))
    put_back(site.engine, {})
    for name in "ab":
        site.grid.flaky[name].script("*=down")
    with pytest.raises(NodesMissing):
        rebuild(site)
    assert site.rows(DEID.instance) == []


def test_what_lies_there_and_is_not_ours_is_counted(site):
    site.publish(phantom(2))
    site.grid.memory["a"].objects["record/zz/readme.txt"] = b"hello"
    put_back(site.engine, {})
    assert rebuild(site).objects.foreign == 1


def test_a_part_another_worker_is_at_work_on_is_left_to_it(site):
    site.receive(phantom(2))
    publisher = site.publisher()
    site.plan(publisher)
    with site.engine.begin() as connection:
        connection.execute(sa.update(publish_part).values(lease_until_ms=site.clock() + 60_000))
    assert rebuild(site).forms == 0
    with site.engine.begin() as connection:
        connection.execute(sa.update(publish_part).values(lease_until_ms=None))
    while publisher.run_once():
        pass
    assert len(site.rows(DEID.instance)) == 2


def test_a_part_an_old_database_still_plans_is_not_published_again(site):
    site.receive(phantom(4))
    site.plan()
    old = saved(site.engine)
    publisher = site.publisher()
    while publisher.run_once():
        pass
    before = catalog(site.engine)
    put_back(site.engine, old)
    assert rebuild(site).complete
    assert_same(before, site)
    assert site.rows(publish_part_instance) == []
    assert publisher.run_once() is False
    assert [row.state for row in site.rows(publish_job)] == ["published"]


def test_a_withdrawal_that_only_the_log_tells_is_heard(desk, site):
    """Databases from before the nodes were told of withdrawals hold the log alone."""
    site.publish(burned_in.series(2))
    first, second = desk.keys()
    desk.say([first, second], Choice.RELEASE)
    desk.carry_out()
    site.clock.pass_seconds(5)
    desk.say([second], Choice.WITHDRAW)
    assert not [name for name in site.grid.memory["a"].objects if name.startswith("departed/")]
    with site.engine.begin() as connection:
        for table in (DEID.instance, PHI.instance):
            connection.execute(sa.delete(table))
        connection.execute(sa.text("DELETE FROM departed"))
    rebuild(site)
    assert {row.instance_key for row in site.rows(DEID.instance)} == {first}
    assert len(site.refs(UNCLEARED)) == 1


def test_an_old_database_loses_what_was_withdrawn_since(desk, site):
    site.publish(burned_in.series(2))
    first, second = desk.keys()
    desk.say([first, second], Choice.RELEASE)
    desk.carry_out()
    old = saved(site.engine)
    desk.say([second], Choice.WITHDRAW)
    assert Teller(site.engine, site.grid.fleet, site.clock).run_once() == 1
    before = catalog(site.engine)
    put_back(site.engine, old)
    assert len(site.refs(UNCLEARED)) == 2
    rebuild(site)
    assert_same(before, site)
    assert len(site.refs(UNCLEARED)) == 1


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.mark.parametrize("point", ["rebuild.object", "rebuild.before_commit", "rebuild.after_commit"])
def test_a_rebuild_that_was_killed_goes_on(site, monkeypatch, point):
    for number in range(3):
        site.publish(phantom(2, person=number, seed=number + 1))
    before = catalog(site.engine)
    put_back(site.engine, {})
    passed = []

    def hit(name):
        passed.append(name)
        if passed.count(point) == 2:
            raise Killed

    monkeypatch.setattr("dgis.failpoints.hit", hit)
    with pytest.raises(Killed):
        rebuild(site)
    (run,) = site.rows(rebuild_run)
    assert run.finished_ms is None
    done = [row.record_key for row in site.rows(rebuild_part) if row.done]
    monkeypatch.setattr("dgis.failpoints.hit", lambda _name: None)
    assert rebuild(site).complete
    assert_same(before, site)
    assert len(done) == {"rebuild.object": 0, "rebuild.before_commit": 1, "rebuild.after_commit": 2}[point]
