"""A copy of the key store is lost, in every way a copy is lost: no key is, and no destroyed one is back."""

import shutil

import pytest

from deid.keys.setup import load_ring
from deid.keys.values import KeyShredded, KeysRefused, KeyStoreUnavailable
from tests.unit.deid.keys.test_key_store import NAME, NOW_MS, Place, away, back

HELD, GONE = NAME, "wasdestroyed"


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.init()
    keys = place.open()
    place.key = keys.get_or_create(HELD)
    keys.get_or_create(GONE)
    place.old = [shutil.copytree(path, tmp_path / f"old-{n}") for n, path in enumerate(place.stores)]
    keys.shred(GONE, NOW_MS)
    return place


def removed(path):
    shutil.rmtree(path)


def emptied(path):
    for each in (path / "keys").iterdir():
        each.unlink()


def damaged(path):
    for each in (path / "keys").iterdir():
        each.write_bytes(each.read_bytes()[:-40])


def from_backup(path):
    old = path.with_name(f"old-{'ab'.index(path.name[-1])}")
    shutil.rmtree(path)
    shutil.copytree(old, path)


LOSSES = [removed, emptied, damaged, away, from_backup]


@pytest.mark.parametrize("running", [True, False], ids=["noticed while open", "at the next start"])
@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_copy_costs_no_key_and_brings_none_back(place, loss, lost, running):
    keys = place.open()
    loss(place.stores[lost])
    keys = keys if running else place.open()
    assert keys.get(HELD) == place.key
    with pytest.raises(KeyShredded):
        keys.get(GONE)


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("loss", LOSSES)
def test_it_is_whole_again_when_it_is_back(place, loss, lost):
    loss(place.stores[lost])
    if loss is away:
        back(place.stores[lost])
    elif loss is removed:
        place.init()  # a new disk: an operator says so
    keys = place.open()
    for name in keys.names():
        keys.standing(name)
    for name in (HELD, GONE):
        assert place.file(0, name).read_bytes() == place.file(1, name).read_bytes()
    assert b"wrapped" not in place.file(lost, GONE).read_bytes()
    away(place.stores[1 - lost])  # the copy that was lost serves alone
    alone = place.open()
    assert alone.get(HELD) == place.key
    with pytest.raises(KeyShredded):
        alone.get(GONE)


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("loss", [removed, away])
def test_nothing_new_is_sealed_until_it_is(place, loss, lost):
    loss(place.stores[lost])
    with pytest.raises(KeyStoreUnavailable):
        place.open().get_or_create("another")


def test_a_removed_copy_is_never_made_anew_by_itself(place):
    removed(place.stores[0])
    place.open().get(HELD)
    assert not place.stores[0].exists()


def test_a_copy_of_another_site_is_refused(place, tmp_path):
    other = Place(tmp_path / "other")
    other.init()
    shutil.rmtree(place.stores[1])
    shutil.copytree(other.stores[1], place.stores[1])
    with pytest.raises(KeysRefused, match="belong together"):
        place.open()


def test_both_copies_out_of_a_backup_bring_a_destroyed_key_back(place):
    """As KEYS.md says: what ends it is the end of the key-encryption key of that time."""
    for path in place.stores:
        from_backup(path)
    assert place.open().get(GONE).name == GONE
    assert len(load_ring(place.kek).keks) == 1
