"""A database from a backup meets the key store of today: what was destroyed stays destroyed."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from catalog.tables import DEID, PHI
from deid.keys.rotation import rotate_kek
from deid.keys.values import KeyShredded
from dgis.cache.indexer import Indexer
from dgis.cache.log import Limits, ReceiveLog
from dgis.erasure import intents, tombstones
from dgis.keyholder.client import NotRestored
from dgis.keyholder.protocol import RestoreRequest
from replica.tables import replica_object
from storage_nodes.names import RecordKey
from tests.unit.dgis.erasure.erasing import ask, cache_bytes, erasures, patient_key, rounds, shred
from tests.unit.dgis.site import CLEARED, phantom


def backup(site, path):
    with closing(sqlite3.connect(site.engine.url.database)) as live, closing(sqlite3.connect(path)) as copy:
        live.backup(copy)
    return path


def restore(site, path):
    """Put an old database in place, as after a loss, and start over the same home."""
    site.log.close()
    site.log.backlog.close()
    site.engine.dispose()
    for suffix in ("-wal", "-shm"):
        database = site.home / f"catalog.sqlite{suffix}"
        database.unlink(missing_ok=True)
    shutil.copy(path, site.home / "catalog.sqlite")
    site.log = ReceiveLog.open(site.home / site.name, Limits(1 << 30, 0, 64 << 20), site.clock)
    site.indexer = Indexer(site.log, site.engine, site.ingest, site.cache_owner)
    site.restorer.forget()
    site.index_all()


def compare(site):
    return tombstones.compare(site.engine, site.keys, site.clock())


def answer(site, ref):
    (said,) = site.restorer(RestoreRequest(RecordKey(ref.record_key), (ref.position,)))
    return said if isinstance(said, NotRestored) else b"".join(said.chunks)


def there(site):
    return {row.sop_instance_uid for row in site.rows(PHI.instance)}


@pytest.fixture
def published(site, tmp_path):
    """Two patients published, a backup of the database, then one of them destroyed."""
    site.gone, site.kept = phantom(3, person=0), phantom(3, person=1, seed=2)
    site.publish([*site.gone, *site.kept])
    site.refs_gone = [site.refs(CLEARED, image)[0] for image in site.gone]
    site.backup = backup(site, tmp_path / "yesterday.sqlite")
    site.clock.pass_seconds(10)
    shred(site, patient_key(site, site.gone[0]))
    return site


def test_no_original_comes_back_with_an_old_database(published):
    site = published
    restore(site, site.backup)
    assert there(site) == {one.sop_instance_uid for one in (*site.gone, *site.kept)}  # rows do
    for ref in site.refs_gone:
        assert isinstance(answer(site, ref), NotRestored)
    assert site.gone[0].pixels[1000:1200] not in cache_bytes(site)
    assert answer(site, site.refs(CLEARED, site.kept[1])[0]) == site.kept[1].dataset


def test_its_rows_go_again_by_themselves(published):
    site = published
    restore(site, site.backup)
    assert erasures(site) == []
    assert compare(site).adopted == 1
    assert there(site) == {one.sop_instance_uid for one in site.kept}
    assert rounds(site).done == 1
    assert len(site.rows(DEID.instance)) == 6
    (found,) = erasures(site)
    assert (found.requested_by, found.instances, found.cached) == (intents.FOUND, 3, 3)
    retired = [row for row in site.rows(replica_object) if row.superseded_ms is not None]
    assert {row.kind for row in retired} == {"sealed"}
    assert compare(site).adopted == 0


def test_after_a_rotation_too(published):
    site = published
    assert rotate_kek(site.home / "kek", [site.home / "store"]).retired
    restore(site, site.backup)
    assert compare(site).adopted == 1
    assert there(site) == {one.sop_instance_uid for one in site.kept}
    assert answer(site, site.refs(CLEARED, site.kept[1])[0]) == site.kept[1].dataset


def test_what_came_after_the_erasure_stays_with_an_old_database(published):
    """Images of a patient who came back lie in the log: they are found there, and are not the old ones."""
    site = published
    site.clock.pass_seconds(10)
    new = phantom(2, person=0, seed=9)
    site.receive(new)
    restore(site, site.backup)
    assert there(site) >= {one.sop_instance_uid for one in new}
    compare(site)
    rounds(site)
    assert there(site) == {one.sop_instance_uid for one in (*new, *site.kept)}
    site.publish()
    assert answer(site, site.refs(CLEARED, new[0])[0]) == new[0].dataset


def test_a_database_from_between_finishes_what_it_knows_of(site, tmp_path):
    gone = phantom(3, person=0)
    site.publish(gone)
    ask(site, patient_key(site, gone[0]))
    between = backup(site, tmp_path / "between.sqlite")
    assert rounds(site).done == 1
    restore(site, between)
    assert rounds(site).done == 1
    assert there(site) == set()


def test_rows_that_turn_up_later_open_an_erasure_again(published):
    """A log that was indexed late, or a table put back by hand: the erasure is known and done already."""
    site = published
    with closing(sqlite3.connect(site.engine.url.database)) as live:
        live.execute("ATTACH DATABASE ? AS old", (str(site.backup),))
        for name in ("phi_patient", "phi_study", "phi_series", "phi_instance"):
            live.execute(f"INSERT OR IGNORE INTO main.{name} SELECT * FROM old.{name}")
        live.commit()
    assert there(site) > {one.sop_instance_uid for one in site.kept}
    assert compare(site).adopted == 1
    assert rounds(site).done == 1
    assert there(site) == {one.sop_instance_uid for one in site.kept}


def test_a_lost_key_is_no_destroyed_one(published):
    site = published
    key = patient_key(site, site.kept[0])
    (site.home / "store" / "keys" / f"{key}.json").unlink()
    assert compare(site).adopted == 0
    assert there(site) == {one.sop_instance_uid for one in site.kept}


@pytest.mark.parametrize("whole", [True, False], ids=["with the key in it", "empty"])
def test_an_old_key_store_meets_a_database_that_knows_better(site, tmp_path, whole):
    gone = phantom(3, person=0)
    site.publish(gone)
    key = patient_key(site, gone[0])
    old = shutil.copytree(site.home / "store", tmp_path / "old")
    shred(site, key)
    shutil.rmtree(site.home / "store")
    shutil.copytree(old, site.home / "store")
    if whole:
        assert site.keys.get(key).name == key  # a backup of the key store brings the key back ...
    else:
        (site.home / "store" / "keys" / f"{key}.json").unlink()
    assert compare(site).returned == 1
    rounds(site)
    with pytest.raises(KeyShredded):  # ... and the database destroys it again
        site.keys.get(key)
    assert compare(site).returned == 0
    site.clock.pass_seconds(10)
    new = phantom(2, person=0, seed=4)
    site.publish(new)
    assert answer(site, site.refs(CLEARED, new[0])[0]) == new[0].dataset
