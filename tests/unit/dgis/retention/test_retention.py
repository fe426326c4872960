"""Deleting what has been kept long enough reaches every copy; a hold wins; nothing brings it back."""

import pytest
import sqlalchemy as sa

from catalog.grants import What
from catalog.tables import DEID, FAMILIES, PHI, audit
from dgis.departed.notes import Teller
from dgis.publisher.tables import publish_part
from dgis.retention import holds
from dgis.retention.configuration import RetentionRule
from dgis.retention.due import due
from dgis.retention.removal import Removing
from dgis.retention.retainer import Retainer, delete_due
from dgis.tables import cache_instance, publish_job
from replica import clean
from replica.tables import replica_object
from tests.canary import Hunt
from tests.unit.dgis.erasure.erasing import cache_bytes, patient_key, shred
from tests.unit.dgis.rebuild.building import rebuild
from tests.unit.dgis.rebuild.databases import catalog, put_back, saved
from tests.unit.dgis.site import CLEARED, FACILITY, phantom

DAY = 86_400
OLD, NEW = phantom(3, person=0), phantom(2, person=1, seed=2)


def by(*rules):
    return Removing(rules or (RetentionRule(keep_days=30),), "gateway-1/worker", "retention")


@pytest.fixture
def aged(site):
    """A series of 40 days ago, and one of yesterday."""
    site.publish(OLD)
    site.clock.pass_seconds(39 * DAY)
    site.publish(NEW)
    site.clock.pass_seconds(DAY)
    return site


def run(site, *rules):
    return [each for each in delete_due(site.engine, by(*rules), site.clock()) if each.removed]


def listed(site, *rules):
    with site.engine.connect() as connection:
        return list(due(connection, by(*rules).rules, site.clock()))


def held(site, **what):
    with site.engine.begin() as connection:
        return holds.add(connection, What(**what), "a lawsuit", "counsel", site.clock())


def objects(site, key):
    return [
        (node.name, name)
        for node in site.grid.memory.values()
        for name in node.objects
        if key in name and not name.startswith("departed/")
    ]


def test_without_rules_nothing_is_ever_due(aged):
    with aged.engine.connect() as connection:
        assert list(due(connection, (), aged.clock() + 10**15)) == []


def test_what_is_due_leaves_every_copy(aged):
    site = aged
    (record,) = {
        row.record_key for row in site.rows(PHI.instance) if row.sop_instance_uid == OLD[0].sop_instance_uid
    }
    (done,) = run(site)
    assert (done.removed.instances, done.removed.forms, done.removed.records) == (3, 3, 1)
    uids = {row.sop_instance_uid for row in site.rows(PHI.instance)}
    assert uids == {image.sop_instance_uid for image in NEW}
    for family in FAMILIES:
        rows = [
            len(site.rows(table)) for table in (family.patient, family.study, family.series, family.instance)
        ]
        assert rows == [1, 1, 1, 2]
        assert [row.instance_count for row in site.rows(family.patient)] == [2]
    assert site.refs(CLEARED, OLD[0]) == []
    assert {row.phi_instance_id for row in site.rows(cache_instance)} == {
        row.id for row in site.rows(PHI.instance)
    }
    assert record not in {row.record_key for row in site.rows(publish_part)}
    assert len(site.rows(publish_job)) == 1
    site.clock.pass_seconds(2 * 3600)
    while clean.run_once(site.grid.replicas).copies:
        pass
    assert objects(site, record) == []
    assert record not in {row.record_key for row in site.rows(replica_object)}
    (entry,) = [row for row in site.rows(audit) if row.event == "delete"]
    assert "retention" in entry.kept
    hunt = Hunt({uid for image in OLD for uid in (image.sop_instance_uid, image.series_uid, image.study_uid)})
    assert not hunt.find(entry.kept.encode())


def test_a_node_that_is_away_loses_its_copy_when_it_is_back(aged):
    site = aged
    site.grid.flaky["b"].script("*=down")
    run(site)
    site.clock.pass_seconds(2 * 3600)
    clean.run_once(site.grid.replicas)
    keys = {name.rpartition("_")[0].split("/")[-1] for name in site.grid.memory["b"].objects}
    assert len(keys) == 2
    site.grid.flaky["b"].script("")
    site.clock.pass_seconds(3600)
    while clean.run_once(site.grid.replicas).copies:
        pass
    assert (
        len([name for name in site.grid.memory["b"].objects if name.startswith(("record/", "sealed/"))]) == 2
    )


def test_the_cache_is_written_over(aged):
    site = aged
    middle = OLD[0].pixels[1000:1200]
    assert middle in cache_bytes(site)
    retainer = Retainer(site.engine, site.log.files, site.name, site.clock)
    assert retainer.run_once(by()) == 1
    assert middle not in cache_bytes(site)
    assert NEW[0].pixels[1000:1200] in cache_bytes(site)


def test_a_retainer_without_orders_deletes_nothing(aged):
    Retainer(aged.engine, aged.log.files, aged.name, aged.clock).run_once(None)
    assert len(aged.rows(PHI.instance)) == 5


@pytest.mark.parametrize("what", ["patient", "study", "series"])
def test_a_hold_wins_over_every_rule(aged, what):
    (one,) = listed(aged)
    keys = {"patient_key": one.series.patient_key}
    if what != "patient":
        keys["study_key"] = one.series.study_key
    if what == "series":
        keys["series_key"] = one.series.series_key
    number = held(aged, **keys)
    assert run(aged) == []
    assert [each.held.id for each in listed(aged)] == [number]
    with aged.engine.begin() as connection:
        assert holds.end(connection, number).id == number
        assert holds.end(connection, number) is None
    assert len(run(aged)) == 1


def test_a_hold_on_something_else_keeps_nothing(aged):
    (one,) = listed(aged)
    held(aged, patient_key=patient_key(aged, NEW[0]))
    held(aged, patient_key=one.series.patient_key, study_key="2.25.1")
    assert len(run(aged)) == 1


def test_a_hold_that_comes_while_it_deletes_is_seen(aged):
    """What was listed is looked at again in the transaction that deletes."""
    deleting = delete_due(aged.engine, by(RetentionRule(keep_days=1)), aged.clock())
    first = next(deleting)
    assert first.removed
    held(aged, patient_key=patient_key(aged, NEW[0]))
    (second,) = deleting
    assert second.removed is None
    assert len(aged.rows(PHI.instance)) == 2


@pytest.mark.parametrize(
    ("rules", "gone"),
    [
        ([RetentionRule(modality="CT", keep_days=1)], 0),
        ([RetentionRule(modality="PT", keep_days=1)], 2),
        ([RetentionRule(facility="Elsewhere", keep_days=1)], 0),
        ([RetentionRule(facility=FACILITY, modality="PT", keep_days=30)], 1),
        ([RetentionRule(modality="PT", keep_days=9999), RetentionRule(keep_days=1)], 0),
    ],
)
def test_the_first_rule_that_fits_decides(aged, rules, gone):
    assert len(run(aged, *rules)) == gone


def test_a_late_image_keeps_its_series(aged):
    aged.publish(phantom(4, person=0)[3:])
    assert run(aged) == []


def test_what_is_not_in_the_grid_yet_stays(site):
    site.receive(OLD)
    site.clock.pass_seconds(99 * DAY)
    assert run(site) == []


def test_what_is_left_of_an_erased_patient_goes_as_well(aged):
    site = aged
    shred(site, patient_key(site, OLD[0]))
    assert len(site.rows(DEID.instance)) == 5
    (done,) = run(site)
    assert (done.removed.instances, done.removed.forms) == (0, 3)
    assert len(site.rows(DEID.instance)) == 2


@pytest.mark.parametrize("database", ["empty", "older"])
def test_no_rebuild_brings_it_back(aged, database):
    site = aged
    old = saved(site.engine)
    run(site)
    Teller(site.engine, site.grid.fleet, site.clock).run_once()
    before = catalog(site.engine)
    put_back(site.engine, old if database == "older" else {})
    assert rebuild(site).complete
    after = catalog(site.engine)
    assert {name: after[name] for name in before if "_" in name} == {
        name: before[name] for name in before if "_" in name
    }
    live = [row for row in site.rows(replica_object) if row.superseded_ms is None]
    assert len(live) == 2


def test_after_a_rebuild_from_nothing_everything_is_on_hold(aged):
    """Which holds there were, no node knows."""
    held(aged, patient_key=patient_key(aged, OLD[0]))
    put_back(aged.engine, {})
    rebuild(aged)
    assert run(aged, RetentionRule(keep_days=1)) == []
    rebuild(aged)
    with aged.engine.begin() as connection:
        (everything,) = holds.every(connection)
        assert everything.patient_key == holds.EVERYBODY
        holds.end(connection, everything.id)
    assert len(run(aged, RetentionRule(keep_days=1))) == 2


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.mark.parametrize("point", ["retention.before_commit", "retention.after_commit"])
def test_a_deletion_that_was_killed_goes_on(aged, monkeypatch, point):
    def hit(name):
        if name == point:
            raise Killed

    monkeypatch.setattr("dgis.failpoints.hit", hit)
    with pytest.raises(Killed):
        run(aged, RetentionRule(keep_days=1))
    left = len(aged.rows(PHI.instance))
    assert left == (5 if point == "retention.before_commit" else 2)
    monkeypatch.setattr("dgis.failpoints.hit", lambda _name: None)
    run(aged, RetentionRule(keep_days=1))
    assert aged.rows(PHI.instance) == aged.rows(DEID.instance) == []
    with aged.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(PHI.patient)) == 0
