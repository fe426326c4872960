import threading
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread, dcmwrite

from catalog.tables import DEID, PHI
from deid.keys.values import KeyStoreUnavailable
from deid.outcome import WithheldReason
from deid.profile import Profile
from deid.science.check import ScienceCheck
from dgis import overview
from dgis.publisher.pack import Packer
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.tables import cache_instance, publish_job
from replica.tables import replica_object
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom


def poisoned(site, *uids):
    class Tripping:
        def deidentify(self, dataset, syntax, uid, decision):
            if uid in uids:
                raise RuntimeError("must not be shown")
            return site.packer.deidentifier.deidentify(dataset, syntax, uid, decision)

    return Packer(Tripping(), ScienceCheck(Profile()), {})


def falsified(site, uid):
    class Falsifying:
        def deidentify(self, dataset, syntax, own, decision):
            form = site.packer.deidentifier.deidentify(dataset, syntax, own, decision)
            if own != uid:
                return form
            header = dcmread(BytesIO(form.before), force=True)
            header.Rows += 1
            out = BytesIO()
            dcmwrite(out, header, implicit_vr=False, little_endian=True, enforce_file_format=False)
            return replace(form, before=out.getvalue())

    return Packer(Falsifying(), ScienceCheck(Profile()), {})


def drain(site, publisher, seconds=600, most=200):
    """Let time pass until nothing is tried any more within `seconds`."""
    rounds = 0
    while rounds < most:
        rounds += 1
        if publisher.run_once():
            continue
        if not seconds:
            return
        site.clock.pass_seconds(min(seconds, 10))
        seconds = max(0, seconds - 10)


def job(site):
    (row,) = site.rows(publish_job)
    return row.state, row.pending_instances


def test_a_series_is_cut_published_and_found_by_both_kinds_of_caller(site):
    images = phantom(5)
    site.publish(images, part_bytes=3 * len(images[0].dataset))
    parts = site.rows(publish_part)
    assert [(part.state, part.instances, part.withheld) for part in parts] == [
        ("published", 3, 0),
        ("published", 2, 0),
    ]
    assert job(site) == ("published", 0)
    assert site.rows(publish_part_instance) == []
    assert all(row.published for row in site.rows(cache_instance))
    cleared, uncleared = site.refs(CLEARED), site.refs(UNCLEARED)
    assert [ref.sop_instance_uid for ref in cleared] == [image.sop_instance_uid for image in images]
    assert len(uncleared) == 5
    assert {ref.sop_instance_uid for ref in uncleared}.isdisjoint(i.sop_instance_uid for i in images)
    assert [(ref.record_key, ref.position) for ref in cleared] == [
        (ref.record_key, ref.position) for ref in uncleared
    ]


def test_late_images_make_a_further_part(site):
    images = phantom(4)
    site.publish(images[:3])
    site.receive(images[3:])
    assert job(site) == ("waiting", 1)
    site.publish()
    assert [part.instances for part in site.rows(publish_part)] == [3, 1]
    assert job(site) == ("published", 0)


def test_images_that_come_while_a_part_is_packed_are_not_forgotten(site):
    images = phantom(3)
    site.receive(images[:2])
    publisher = site.publisher()
    site.plan(publisher)
    site.receive(images[2:])  # between planning and the commit point
    while publisher.run_once():
        pass
    assert job(site)[1] == 1
    site.publish()
    assert job(site) == ("published", 0)
    assert len(site.refs(UNCLEARED)) == 3


def test_a_failure_is_told_in_words_and_the_next_attempt_rests(site):
    site.receive(phantom(2))
    publisher = site.publisher()
    site.plan(publisher)
    for node in ("a", "b"):
        site.grid.flaky[node].script("put=down")
    assert publisher.run_once()
    (part,) = site.rows(publish_part)
    assert "copies needed could be put" in part.last_error
    assert (part.attempts, part.strikes, part.lease_owner) == (1, 0, None)
    assert not publisher.run_once()
    for node in ("a", "b"):
        site.grid.flaky[node].script("")
    site.clock.pass_seconds(3)
    assert publisher.run_once()
    assert site.rows(publish_part)[0].last_error is None
    assert len(site.rows(DEID.instance)) == 2


def test_a_key_store_that_is_away_never_halves_a_part(site, monkeypatch):
    site.receive(phantom(4))
    publisher = site.publisher()
    site.plan(publisher)

    def away(_name):
        raise KeyStoreUnavailable("no key store answers")

    with monkeypatch.context() as patched:
        patched.setattr(site.keys, "get_or_create", away)
        for _ in range(8):
            publisher.run_once()
            site.clock.pass_seconds(400)
    (part,) = site.rows(publish_part)
    assert (part.attempts, part.strikes, part.last_error) == (8, 0, "no key store answers")
    assert publisher.run_once()
    assert job(site) == ("published", 0)


def test_one_bad_instance_holds_up_nobody_else_and_says_what_is_wrong(site):
    images = phantom(9)
    others = phantom(2, person=1, seed=7)
    site.receive(images)
    site.receive(others)
    bad = images[4].sop_instance_uid
    publisher = site.publisher(packer=poisoned(site, bad))
    site.plan(publisher)
    drain(site, publisher)
    waiting = [part for part in site.rows(publish_part) if part.state == "waiting"]
    assert [part.instances for part in waiting] == [1]
    assert waiting[0].last_error == "unexpected RuntimeError; see the log of the worker"
    assert len(site.rows(DEID.instance)) == 10
    assert sorted(row.pending_instances for row in site.rows(publish_job)) == [0, 1]
    healthy = site.publisher()
    site.clock.pass_seconds(400)
    assert healthy.run_once()
    assert len(site.rows(DEID.instance)) == 11


def test_a_worker_that_keeps_dying_over_a_part_is_noticed(site):
    images = phantom(2)
    site.receive(images)
    publisher = site.publisher(lease_ms=1_000)
    site.plan(publisher)

    class Killed(BaseException):
        pass

    def die(*_arguments):
        raise Killed

    publisher._publish = die
    for _ in range(4):
        with pytest.raises(Killed):
            publisher.run_once()
        assert not publisher.run_once()  # the lease holds, and the part rests
        site.clock.pass_seconds(60)
    (part,) = site.rows(publish_part)
    assert part.last_error == "its worker ended, or was too slow, while packing"
    healthy = site.publisher("another")
    drain(site, healthy, seconds=60)
    assert [part.instances for part in site.rows(publish_part)] == [1, 1]
    assert job(site) == ("published", 0)


def test_a_publisher_that_lost_its_lease_publishes_nothing(site):
    site.receive(phantom(2))
    slow, quick = site.publisher("slow"), site.publisher("quick")
    site.plan(slow)
    commit = slow._commit

    def late(*what):
        site.clock.pass_seconds(120)
        assert quick.run_once()
        commit(*what)

    slow._commit = late
    assert slow.run_once()
    (part,) = site.rows(publish_part)
    assert (part.state, part.attempts, part.last_error) == ("published", 2, None)
    assert len(site.rows(DEID.instance)) == 2
    assert len({row.record_key for row in site.rows(PHI.instance)}) == 1
    committed = [row for row in site.rows(replica_object) if row.committed_ms is not None]
    assert sorted(row.kind for row in committed) == ["record", "sealed"]


def test_publishers_that_race_publish_each_part_once(site):
    for person in range(3):
        site.receive(phantom(6, person=person, seed=person))
    site.plan(site.publisher(part_bytes=1))
    failures = []

    def work(name):
        publisher = site.publisher(name, packer=site.new_packer())
        try:
            while publisher.run_once():
                pass
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    parts = site.rows(publish_part)
    assert {(part.state, part.attempts, part.instances) for part in parts} == {("published", 1, 1)}
    assert len(parts) == len(site.rows(DEID.instance)) == 18
    assert len({row.record_key for row in site.rows(PHI.instance)}) == 18


def test_what_the_cache_lost_is_not_waited_for(site):
    images = phantom(3)
    site.receive(images)
    publisher = site.publisher()
    site.plan(publisher)
    with site.engine.begin() as connection:  # as the cache's recovery does where bytes are missing
        gone = cache_instance.c.sop_instance_uid.in_([image.sop_instance_uid for image in images[:2]])
        connection.execute(cache_instance.delete().where(gone))
    assert publisher.run_once()
    assert job(site) == ("published", 0)
    site.publish(images[:2])  # sent again, they are published as well
    assert len(site.refs(UNCLEARED)) == 3


def test_a_part_of_which_nothing_is_left_goes(site):
    site.receive(phantom(2))
    publisher = site.publisher()
    site.plan(publisher)
    with site.engine.begin() as connection:
        connection.execute(cache_instance.delete())
    assert not publisher.run_once()
    assert site.rows(publish_part) == site.rows(publish_part_instance) == []
    assert job(site) == ("published", 0)


def test_planning_counts_what_is_really_there(site):
    site.receive(phantom(3))
    with site.engine.begin() as connection:
        connection.execute(publish_job.update().values(pending_instances=17))
    site.plan()
    assert job(site) == ("claimed", 3)


def test_damaged_bytes_are_refused_in_words_and_only_theirs(site):
    images = phantom(2)
    site.receive(images)
    with site.engine.begin() as connection:
        spoilt = cache_instance.c.sop_instance_uid == images[0].sop_instance_uid
        connection.execute(cache_instance.update().where(spoilt).values(sha256=bytes(32)))
    publisher = site.publisher()
    site.plan(publisher)
    drain(site, publisher)
    (waiting,) = [part for part in site.rows(publish_part) if part.state == "waiting"]
    assert waiting.instances == 1
    assert "cache" in waiting.last_error
    assert len(site.rows(DEID.instance)) == 1


def test_numbers_that_are_not_the_originals_are_sealed_whole_and_what_options_removed_is_told(site):
    images = phantom(3)
    site.receive(images)
    publisher = site.publisher(packer=falsified(site, images[1].sop_instance_uid))
    site.clock.pass_seconds(60)
    publisher.plan()
    drain(site, publisher)
    with site.engine.connect() as connection:
        assert overview.withheld(connection) == {WithheldReason.NUMBERS.value: 1}
        (series,) = overview.series(connection, site.name)
        told = overview.removed(connection, series["series"])
    assert (series["instances"], series["withheld"]) == (3, 1)
    assert told
    assert all(" (" in words for words in told)
    assert len(site.refs(UNCLEARED)) == 2
