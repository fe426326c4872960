import threading
from dataclasses import replace
from itertools import product

import pytest
import sqlalchemy as sa

from catalog.callers import Right
from catalog.grants import Grant, What, Who, every, write
from catalog.tables import DEID, PHI, conflict
from deid.keys.generations import current_name
from deid.keys.values import KeyShredded
from dgis.erasure import intents
from dgis.erasure.eraser import Eraser
from dgis.erasure.subject import NobodyMeant, by_identity, by_pseudonym, inventory, subject
from dgis.erasure.values import Round
from dgis.keyholder.client import NotRestored
from dgis.keyholder.protocol import RestoreRequest
from dgis.publisher.tables import publish_part
from dgis.tables import cache_conflict, cache_instance, cache_series, publish_job
from replica.tables import replica_object
from storage_nodes.names import RecordKey
from tests.unit.dgis.erasure.erasing import (
    ask,
    cache_bytes,
    erasures,
    finished,
    means,
    patient_key,
    rounds,
    shred,
)
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom

GONE, KEPT = 0, 1


def both(site):
    """One series of each of two patients, published."""
    gone, kept = phantom(3, person=GONE), phantom(3, person=KEPT, seed=2)  # pixels follow the seed
    site.publish([*gone, *kept])
    return gone, kept


def same_length(one, other):
    return len(one.sop_instance_uid) == len(other.sop_instance_uid)


def restored(site, image):
    (ref,) = site.refs(CLEARED, image)
    return restored_at(site, ref)


def restored_at(site, ref):
    (answer,) = site.restorer(RestoreRequest(RecordKey(ref.record_key), (ref.position,)))
    return answer if isinstance(answer, NotRestored) else b"".join(answer.chunks)


def test_original_rows_go_at_every_level_and_de_identified_ones_stay(site):
    gone, kept = both(site)
    key = patient_key(site, gone[0])
    before = {table.name: site.rows(table) for table in (DEID.instance, DEID.series, DEID.patient)}
    uncleared = {ref.sop_instance_uid for ref in site.refs(UNCLEARED)}
    done = shred(site, key)
    assert (done.studies, done.series, done.instances, done.cached) == (1, 1, 3, 3)
    assert {row.patient_key for row in site.rows(PHI.patient)} == {patient_key(site, kept[0])}
    assert len(site.rows(PHI.study)) == len(site.rows(PHI.series)) == 1
    assert {row.patient_row for row in site.rows(PHI.name_word)} == {site.rows(PHI.patient)[0].id}
    for table in (cache_instance, cache_series, publish_job):
        assert {row.phi_series_id for row in site.rows(table)} == {site.rows(PHI.series)[0].id}
    assert before == {table.name: site.rows(table) for table in (DEID.instance, DEID.series, DEID.patient)}
    assert {ref.sop_instance_uid for ref in site.refs(UNCLEARED)} == uncleared
    assert {ref.sop_instance_uid for ref in site.refs(CLEARED)} == {one.sop_instance_uid for one in kept}


def test_nothing_sealed_opens_and_the_other_patient_s_does(site):
    gone, kept = both(site)
    (ref,) = site.refs(CLEARED, gone[0])
    shred(site, patient_key(site, gone[0]))
    assert isinstance(restored_at(site, ref), NotRestored)
    assert restored(site, kept[0]) == kept[0].dataset
    for name in (row.key_name for row in erasures(site)):
        with pytest.raises(KeyShredded):
            site.keys.get(name)


def test_a_part_that_is_open_is_closed_and_restored_ahead_is_not_given_out(site):
    gone, _kept = both(site)
    refs = [site.refs(CLEARED, image)[0] for image in gone]
    answers = site.restorer(
        RestoreRequest(RecordKey(refs[0].record_key), tuple(ref.position for ref in refs))
    )
    assert b"".join(next(answers).chunks) == gone[0].dataset  # the others are restored by now, or nearly
    site.keys.shred(patient_key(site, gone[0]), site.clock())
    assert [type(each) for each in answers] == [NotRestored, NotRestored]
    assert not site.restorer._open


def test_cached_bytes_are_written_over_and_others_stay_where_they_are(site):
    gone, kept = both(site)
    middle = {one: one.pixels[len(one.pixels) // 2 :][:200] for one in (*gone, *kept)}
    assert all(row in cache_bytes(site) for row in middle.values())
    shred(site, patient_key(site, gone[0]))
    left = cache_bytes(site)
    assert not [one for one in gone if middle[one] in left or one.sop_instance_uid.encode() in left]
    assert all(middle[one] in left for one in kept)


def test_spare_files_are_written_over(site):
    """What was evicted before has no row that could tell where it lies."""
    gone, _kept = both(site)
    spare = site.home / site.name / "cache" / "spare" / "018bcfe56800-00000000.spare"
    spare.write_bytes(gone[0].dataset)
    with spare.open("rb") as held:
        shred(site, patient_key(site, gone[0]))
        assert not held.read().strip(b"\0")
    assert not spare.exists()


def test_a_reader_is_waited_for_and_nobody_reads_after_it(site):
    gone, _kept = both(site)
    row = next(row for row in site.rows(cache_instance) if row.sop_instance_uid == gone[0].sop_instance_uid)
    with site.engine.connect() as connection:
        location = site.index.locate(connection, [row.phi_instance_id])[row.phi_instance_id].location
    key = patient_key(site, gone[0])
    with site.index.open(location) as extent:
        ask(site, key)
        last = Eraser(means(site)).run_once()
        assert last.in_use_bytes
        assert not last.done
        assert extent.read(0, len(extent)) == gone[0].dataset
        with pytest.raises(KeyShredded):
            site.keys.get(key)  # what is sealed is closed at once all the same
    assert rounds(site).done == 1
    assert gone[0].pixels[1000:1200] not in cache_bytes(site)


def test_what_waits_in_the_log_goes_when_it_is_indexed_and_what_comes_later_stays(site):
    gone, _kept = both(site)
    late, new = phantom(2, seed=5), phantom(2, seed=6)
    site.receive(late, index=False)
    site.clock.pass_seconds(1)
    key = patient_key(site, gone[0])
    ask(site, key)
    site.clock.pass_seconds(1)
    assert Eraser(means(site)).run_once().unsettled
    site.receive(new)
    assert rounds(site).done == 1
    there = {row.sop_instance_uid for row in site.rows(PHI.instance)}
    assert there.isdisjoint(one.sop_instance_uid for one in (*gone, *late))
    assert there >= {one.sop_instance_uid for one in new}
    site.publish()
    assert restored(site, new[0]) == new[0].dataset
    assert late[0].pixels[1000:1200] not in cache_bytes(site)


def test_who_comes_back_gets_a_new_key_and_can_be_erased_again(site):
    gone, _kept = both(site)
    key = patient_key(site, gone[0])
    first = shred(site, key)
    site.clock.pass_seconds(1)
    back = phantom(2, seed=9)
    site.publish(back)
    assert patient_key(site, back[0]) == key
    assert restored(site, back[0]) == back[0].dataset
    site.clock.pass_seconds(1)
    second = shred(site, key)
    assert (first.key_name, second.key_name) == (key, f"{key}-2")
    assert current_name(site.keys, key) == f"{key}-3"
    assert second.instances == 2
    assert not site.refs(CLEARED, back[0])


def test_the_same_images_again_are_taken_as_new_and_published_under_the_new_key(site):
    gone, _kept = both(site)
    shred(site, patient_key(site, gone[0]))
    site.clock.pass_seconds(1)
    site.publish(gone)
    assert restored(site, gone[1]) == gone[1].dataset
    assert len(site.rows(DEID.instance)) == 6


def test_a_part_on_its_way_is_not_committed(site):
    gone = phantom(3, person=GONE)
    site.receive(gone)
    publisher = site.publisher()
    site.plan(publisher)
    key = patient_key(site, gone[0])
    put = publisher._put

    def erased_meanwhile(*what):
        stored = put(*what)
        ask(site, key)
        return stored

    publisher._put = erased_meanwhile
    assert publisher.run_once()
    assert site.rows(PHI.instance) == site.rows(DEID.instance) == site.rows(publish_part) == []
    assert rounds(site).done == 1
    assert not [row for row in site.rows(replica_object) if row.committed_ms is not None]


def test_nothing_new_is_sealed_under_a_key_that_goes(site):
    """Between asking and the tombstone the key is still there: a part sealed with it is not committed."""
    gone, _kept = both(site)
    key = patient_key(site, gone[0])
    ask(site, key)
    site.clock.pass_seconds(1)
    new = phantom(2, seed=8)
    site.receive(new)
    publisher = site.publisher()
    site.plan(publisher)
    assert publisher.run_once()
    (part,) = [row for row in site.rows(publish_part) if row.state == "waiting"]
    assert part.last_error == "the patient's key is being destroyed"
    assert rounds(site).done == 1
    site.clock.pass_seconds(5)
    while publisher.run_once():
        pass
    assert restored(site, new[0]) == new[0].dataset


def test_bytes_held_apart_go_with_their_own_patient_and_not_with_the_disputed_one(site):
    gone, kept = both(site)
    own = replace(gone[0], dataset=gone[0].dataset[:-2] + b"\1\1")  # of the same patient
    theirs, taken = next(pair for pair in product(kept, gone) if same_length(*pair))
    uids = [one.sop_instance_uid.encode() for one in (theirs, taken)]
    # another patient's image that bears a UID of the one who goes
    borrowed = replace(theirs, sop_instance_uid=taken.sop_instance_uid, dataset=theirs.dataset.replace(*uids))
    site.receive([own, borrowed])
    assert len(site.rows(cache_conflict)) == len(site.rows(conflict)) == 2
    done = shred(site, patient_key(site, gone[0]))
    assert done.held == 1
    (left,) = site.rows(cache_conflict)
    (still,) = site.rows(conflict)
    assert bytes(left.sha256) == bytes(still.sha256)
    assert left.phi_instance_id is None
    assert borrowed.pixels[1000:1200] in cache_bytes(site)
    assert own.dataset[-2000:] not in cache_bytes(site)


def test_held_bytes_that_name_nobody_are_left_and_told_of(site):
    gone, _kept = both(site)
    site.receive([replace(gone[0], sop_instance_uid="1.2.3.4", dataset=b"no data set at all")])
    ask(site, patient_key(site, gone[0]))
    assert rounds(site).held_unread == 1
    assert len(site.rows(cache_conflict)) == 1


def test_grants_that_name_the_patient_give_no_originals_and_denials_stay(site):
    gone, kept = both(site)
    key, other = patient_key(site, gone[0]), patient_key(site, kept[0])
    what, who = What(patient_key=key), Who(user="dr")
    find = frozenset({Right.FIND})
    given = [
        Grant(who, what, find | {Right.PHI}, reason="for Mrs Canary"),
        Grant(who, what, frozenset({Right.PHI})),
        Grant(who, what, find, allow=False),
        Grant(who, What(patient_key=other), frozenset({Right.PHI})),
    ]
    with site.engine.begin() as connection:
        for each in given:
            write(connection, each)
    assert shred(site, key).grants == 2
    with site.engine.connect() as connection:
        left = [each for each in every(connection) if each.what.patient_key]
    assert [(each.what.patient_key, each.may, each.allow) for each in left] == [
        (key, find, True),
        (key, find, False),
        (other, frozenset({Right.PHI}), True),
    ]
    assert "Canary" not in repr(left)


def test_sealed_companions_are_retired_and_records_are_not(site):
    gone, _kept = both(site)
    records = {site.refs(CLEARED, gone[0])[0].record_key}
    shred(site, patient_key(site, gone[0]))
    superseded = {
        (row.record_key in records, row.kind)
        for row in site.rows(replica_object)
        if row.superseded_ms is not None
    }
    assert superseded == {(True, "sealed")}


def test_rows_emptied_before_go_as_well(site):
    """An operator's choice takes an instance out and leaves the rows above it, with a name in them."""
    (image,) = phantom(1, person=GONE)
    site.receive([image])
    key = patient_key(site, image)
    with site.engine.begin() as connection:
        connection.execute(sa.delete(cache_instance))
        connection.execute(sa.delete(PHI.instance))
        connection.execute(sa.update(PHI.series).values(instance_count=0))
    shred(site, key)
    assert site.rows(PHI.patient) == site.rows(PHI.study) == site.rows(PHI.series) == []


def test_asking_again_changes_nothing_and_finishes_what_was_begun(site):
    gone, _kept = both(site)
    key = patient_key(site, gone[0])
    first = ask(site, key)
    with site.engine.begin() as connection:
        again = intents.ask(connection, key, first.key_name, "another", site.clock() + 5)
    assert again == first
    assert rounds(site).done == 1
    assert Eraser(means(site)).run_once() == Round()
    assert finished(site) == [site.name]


def test_several_gateways_each_write_over_their_own(site, tmp_path):
    from tests.unit.dgis.site import Site  # noqa: PLC0415 (named like the fixture's argument otherwise)

    url = str(site.engine.url)
    other = Site(tmp_path, url=url, name="gateway-2", grid=site.grid)
    try:
        gone, more = phantom(2, person=GONE), phantom(2, person=GONE, seed=3)
        site.publish(gone)
        other.receive(more)
        key = patient_key(site, gone[0])
        ask(site, key)
        assert rounds(site).done == 1
        assert finished(site) == ["gateway-1"]
        assert more[0].pixels[1000:1200] in cache_bytes(other)
        assert site.rows(PHI.instance) == []
        assert rounds(other).done == 1
        assert more[0].pixels[1000:1200] not in cache_bytes(other)
        assert sorted(finished(site)) == ["gateway-1", "gateway-2"]
    finally:
        other.log.close()
        other.log.backlog.close()
        other.restorer._threads.shutdown()
        other.engine.dispose()


def test_key_stores_that_are_away_are_named_and_asked_again(site, tmp_path):
    gone, _kept = both(site)
    key = patient_key(site, gone[0])
    ask(site, key)
    store = site.home / "store"
    away = store.rename(tmp_path / "away")
    last = Eraser(means(site)).run_once()
    assert last.stores_pending == ("all of them",)
    away.rename(store)
    site.clock.pass_seconds(61)
    assert rounds(site).stores_pending == ()
    with pytest.raises(KeyShredded):
        site.keys.get(key)


class TestWhoIsMeant:
    def identity(self, site, patient_id, issuer):
        with site.engine.connect() as connection:
            return by_identity(connection, means(site).names, patient_id, issuer)

    def test_by_the_original_id_and_its_issuer(self, site):
        gone, _kept = both(site)
        assert self.identity(site, " DEMO-7301946 ", "DEMO") == patient_key(site, gone[0])
        assert self.identity(site, "DEMO-7301946", "") != patient_key(site, gone[0])

    def test_an_id_that_came_with_an_issuer_is_not_guessed(self, site):
        both(site)
        with pytest.raises(NobodyMeant, match="DEMO"):
            self.identity(site, "DEMO-7301946", None)

    def test_an_empty_id_names_nobody(self, site):
        with pytest.raises(NobodyMeant, match="empty"):
            self.identity(site, "  ", None)

    def test_by_the_pseudonym_others_know(self, site):
        gone, _kept = both(site)
        (row,) = [row for row in site.rows(DEID.patient) if row.patient_key == patient_key(site, gone[0])]
        with site.engine.connect() as connection:
            assert by_pseudonym(connection, row.patient_id) == row.patient_key
            assert by_pseudonym(connection, row.patient_key) == row.patient_key
            with pytest.raises(NobodyMeant, match="no patients"):
                by_pseudonym(connection, "DEMO-7301946")

    def test_nobody_known_is_not_barred(self, site):
        with site.engine.connect() as connection, pytest.raises(NobodyMeant, match="nothing was changed"):
            subject(connection, site.keys, self.identity(site, "nobody", None))

    def test_what_there_is_is_counted(self, site):
        gone, _kept = both(site)
        with site.engine.connect() as connection:
            found = inventory(connection, patient_key(site, gone[0]))
        assert (found.originals.instances, found.cached, found.deidentified) == (3, {"gateway-1": 3}, 3)


def test_erasing_while_images_stream_in_and_are_published_loses_none_of_them(site):
    gone, _kept = both(site)
    key = patient_key(site, gone[0])
    site.clock.pass_seconds(1)
    stop, failures = threading.Event(), []

    def publish():
        publisher = site.publisher("beside")
        while not stop.is_set():
            try:
                publisher.plan()
                publisher.run_once()
            except Exception as error:  # noqa: BLE001 (told by the main thread)
                failures.append(error)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        ask(site, key)
        new = [phantom(1, seed=seed)[0] for seed in range(20, 26)]
        for image in new:
            site.clock.pass_seconds(2)
            site.receive([image])
            Eraser(means(site)).run_once()
        assert rounds(site, most=40).done == 1
    finally:
        stop.set()
        thread.join()
    assert failures == []
    site.clock.pass_seconds(600)
    site.publish()
    for image in new:
        assert restored(site, image) == image.dataset
