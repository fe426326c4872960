from deid.keys.census import VaultCount, census
from deid.keys.folder import FolderVault
from deid.keys.rotation import prepare_kek
from deid.keys.setup import load_ring
from tests.unit.deid.keys.test_key_store import NOW_MS, Place, away


def counted(place):
    return census([FolderVault(path) for path in place.stores], load_ring(place.kek))


def test_vaults_are_counted_one_by_one_and_left_as_they_are(tmp_path):
    place = Place(tmp_path)
    place.init()
    keys = place.open()
    for name in ("one", "two", "three", "four"):
        keys.get_or_create(name)
    keys.shred("four", NOW_MS)
    place.file(0, "one").unlink()
    place.file(1, "two").write_bytes(b"rot")
    prepare_kek(place.kek)
    keys.get_or_create("five")
    labels = [str(path) for path in place.stores]
    assert counted(place) == (
        VaultCount(labels[0], answers=True, keys=3, outdated=2, unreadable=0, shredded=1, missing=1),
        VaultCount(labels[1], answers=True, keys=3, outdated=2, unreadable=1, shredded=1, missing=0),
    )
    assert not place.file(0, "one").exists()


def test_a_vault_that_is_away_or_was_never_made_is_said(tmp_path):
    place = Place(tmp_path)
    place.init()
    away(place.stores[0])
    assert [each.answers for each in counted(place)] == [False, True]
    assert list(place.stores[0].iterdir()) == []
