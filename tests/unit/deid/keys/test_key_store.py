import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from deid.keys.folder import FolderVault
from deid.keys.kek import Kek
from deid.keys.rotation import rotate_kek
from deid.keys.setup import keys_init, load_ring, open_key_store
from deid.keys.store import KeyStore
from deid.keys.values import KeyDamaged, KeyMissing, KeyShredded, KeysRefused, KeyStoreUnavailable

NAME = "aaaabbbbccccdddd"
NOW_MS = 1_700_000_000_000


class Place:
    """Site secret, key-encryption key and stores of one site under a folder."""

    def __init__(self, root: Path, count: int = 2):
        self.secret, self.kek = root / "site-secret", root / "kek"
        self.stores = [root / f"store-{letter}" for letter in "abc"[:count]]

    def init(self, **options):
        return keys_init(self.secret, self.kek, self.stores, **options)

    def open(self, **options) -> KeyStore:
        return open_key_store(self.kek, self.stores, **options)

    def file(self, store: int, name: str = NAME) -> Path:
        return self.stores[store] / "keys" / f"{name}.json"

    def decider(self) -> int:
        return next(n for n, path in enumerate(self.stores) if FolderVault(path).identity().ordinal == 0)


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    made.init()
    return made


def away(path: Path) -> None:
    """Leave what an unmounted disk leaves: an empty folder."""
    path.rename(path.with_name(path.name + "-away"))
    path.mkdir()


def back(path: Path) -> None:
    shutil.rmtree(path)
    path.with_name(path.name + "-away").rename(path)


def test_a_key_is_made_once_and_lies_wrapped_in_every_store(place):
    key = place.open().get_or_create(NAME)
    assert place.open().get_or_create(NAME) == key
    assert place.open().get(NAME) == key
    assert place.open().get_or_create("other").secret != key.secret
    for store in (0, 1):
        content = place.file(store).read_bytes()
        assert key.secret not in content
        assert key.secret.hex().encode() not in content
        assert place.file(store).stat().st_mode & 0o777 == 0o600


def test_an_unknown_key_is_missing_and_not_made(place):
    with pytest.raises(KeyMissing):
        place.open().get(NAME)
    assert not place.file(0).exists()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a\0b", "x" * 129, "Jane Doe", "ä"])
def test_names_that_could_leave_the_folder_are_refused(place, name):
    for use in (place.open().get, place.open().get_or_create, lambda name: place.open().shred(name, NOW_MS)):
        with pytest.raises(ValueError, match="patient key is named"):
            use(name)


@pytest.mark.parametrize("store", [0, 1])
@pytest.mark.parametrize("use", ["get", "get_or_create"])
def test_a_lost_copy_is_written_again(place, store, use):
    key = place.open().get_or_create(NAME)
    place.file(store).unlink()
    assert getattr(place.open(), use)(NAME) == key
    assert place.file(store).read_bytes() == place.file(1 - store).read_bytes()


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"\xff\xfe", b'{"version": 9}', b"[]", b'{"version":1,"name":1}']
)
def test_a_damaged_copy_is_replaced_by_a_good_one(place, damage):
    key = place.open().get_or_create(NAME)
    place.file(0).write_bytes(damage)
    assert place.open().get(NAME) == key
    assert place.file(0).read_bytes() == place.file(1).read_bytes()


def test_a_copy_moved_to_another_patient_is_no_key_of_that_patient(place):
    place.open().get_or_create("other")
    moved = json.loads(place.file(0, "other").read_bytes()) | {"name": NAME}
    for store in (0, 1):
        place.file(store).write_text(json.dumps(moved))
    with pytest.raises(KeyDamaged):
        place.open().get_or_create(NAME)


def test_nothing_readable_is_never_replaced_by_a_new_key(place):
    place.open().get_or_create(NAME)
    for store in (0, 1):
        place.file(store).write_bytes(b"rot")
    for use in (place.open().get, place.open().get_or_create):
        with pytest.raises(KeyDamaged):
            use(NAME)
    assert place.file(0).read_bytes() == b"rot"


def test_stores_that_disagree_are_left_as_they_are(place, tmp_path):
    place.open().get_or_create(NAME)
    kept = place.file(1).read_bytes()
    for store in (0, 1):
        place.file(store).unlink()
    place.open().get_or_create(NAME)
    place.file(1).write_bytes(kept)
    before = [place.file(store).read_bytes() for store in (0, 1)]
    with pytest.raises(KeyDamaged, match="different keys"):
        place.open().get_or_create(NAME)
    assert [place.file(store).read_bytes() for store in (0, 1)] == before


@pytest.mark.parametrize("store", [0, 1])
def test_with_a_store_away_keys_open_but_none_is_made(place, store):
    opened = place.open()
    key = opened.get_or_create(NAME)
    away(place.stores[store])
    for keys in (opened, place.open()):
        assert keys.get(NAME) == key
        with pytest.raises(KeyStoreUnavailable):
            keys.get_or_create("new")
        with pytest.raises(KeyStoreUnavailable):
            keys.get_or_create(NAME)
    assert list(place.stores[store].iterdir()) == []
    back(place.stores[store])
    assert opened.get_or_create("new").name == "new"


def test_fewer_copies_may_be_asked_for_but_the_decider_must_answer(place):
    keys = place.open(copies_needed=1)
    decider = place.decider()
    away(place.stores[1 - decider])
    made = keys.get_or_create(NAME)
    back(place.stores[1 - decider])
    away(place.stores[decider])
    with pytest.raises(KeyStoreUnavailable, match="decides"):
        keys.get_or_create("new")
    back(place.stores[decider])
    assert place.open().get_or_create(NAME) == made
    assert place.file(0).read_bytes() == place.file(1).read_bytes()


def test_with_every_store_away_nothing_is_decided(place):
    keys = place.open()
    keys.get_or_create(NAME)
    for store in place.stores:
        away(store)
    with pytest.raises(KeyStoreUnavailable):
        keys.get(NAME)
    with pytest.raises(KeyStoreUnavailable):
        keys.shred(NAME, NOW_MS)
    with pytest.raises(KeysRefused):
        place.open()


class TestShred:
    def test_the_key_is_gone_for_good(self, place):
        keys = place.open()
        keys.get_or_create(NAME)
        assert keys.shred(NAME, NOW_MS).pending == ()
        for use in (keys.get, keys.get_or_create, place.open().get_or_create):
            with pytest.raises(KeyShredded):
                use(NAME)
        assert b"wrapped" not in place.file(0).read_bytes() + place.file(1).read_bytes()
        keys.shred(NAME, NOW_MS + 1)
        assert json.loads(place.file(0).read_bytes())["shredded_ms"] == NOW_MS

    def test_a_name_never_used_can_be_barred(self, place):
        place.open().shred(NAME, NOW_MS)
        with pytest.raises(KeyShredded):
            place.open().get_or_create(NAME)

    @pytest.mark.parametrize("store", [0, 1])
    def test_a_copy_out_of_a_backup_does_not_bring_it_back(self, place, store):
        place.open().get_or_create(NAME)
        backup = place.file(store).read_bytes()
        place.open().shred(NAME, NOW_MS)
        place.file(store).write_bytes(backup)
        with pytest.raises(KeyShredded):
            place.open().get_or_create(NAME)
        assert b"wrapped" not in place.file(store).read_bytes()

    @pytest.mark.parametrize("store", [0, 1])
    def test_a_lost_tombstone_is_written_again(self, place, store):
        place.open().shred(NAME, NOW_MS)
        place.file(store).unlink()
        with pytest.raises(KeyShredded):
            place.open().get_or_create(NAME)
        assert place.file(store).read_bytes() == place.file(1 - store).read_bytes()

    @pytest.mark.parametrize("store", [0, 1])
    def test_a_store_that_was_away_learns_it_later(self, place, store):
        keys = place.open()
        keys.get_or_create(NAME)
        away(place.stores[store])
        assert keys.shred(NAME, NOW_MS).pending == (str(place.stores[store]),)
        back(place.stores[store])
        assert b"wrapped" in place.file(store).read_bytes()
        with pytest.raises(KeyShredded):
            keys.get(NAME)
        assert b"wrapped" not in place.file(store).read_bytes()

    def test_what_a_crash_left_of_a_write_goes_too(self, place):
        place.open().get_or_create(NAME)
        leftover = place.file(0).with_name(f".{NAME}.json.00ff.tmp")
        leftover.write_bytes(place.file(0).read_bytes())
        place.open().shred(NAME, NOW_MS)
        assert not leftover.exists()


class TestRotation:
    def test_every_key_moves_and_the_old_kek_is_gone(self, place):
        keys = place.open()
        made = {name: keys.get_or_create(name) for name in ("one", "two", "three")}
        keys.shred("three", NOW_MS)
        old = load_ring(place.kek)
        assert rotate_kek(place.kek, place.stores).retired
        (new,) = load_ring(place.kek).keks
        assert new != old.current
        assert {name: keys.get(name) for name in ("one", "two")} == {
            name: made[name] for name in ("one", "two")
        }
        for path in (place.file(0, "one"), place.file(1, "two")):
            assert json.loads(path.read_bytes())["kek"] == new.kek_id
        with pytest.raises(KeyShredded):
            keys.get("three")

    def test_a_backup_is_dead_after_it(self, place):
        place.open().get_or_create(NAME)
        backup = place.file(0).read_bytes()
        rotate_kek(place.kek, place.stores)
        for store in (0, 1):
            place.file(store).write_bytes(backup)
        with pytest.raises(KeyDamaged):
            place.open().get(NAME)

    def test_with_a_store_away_the_old_kek_stays_until_it_is_back(self, place):
        keys = place.open()
        key = keys.get_or_create(NAME)
        away(place.stores[1])
        first = rotate_kek(place.kek, place.stores)
        assert (first.retired, first.pending) == (False, (str(place.stores[1]),))
        ring = load_ring(place.kek)
        assert len(ring.keks) == 2
        back(place.stores[1])
        assert place.open().get(NAME) == key
        assert rotate_kek(place.kek, place.stores).retired
        assert load_ring(place.kek).keks == ring.keks[:1]
        assert place.open().get_or_create(NAME) == key

    def test_a_lost_copy_does_not_hold_it_up(self, place):
        place.open().get_or_create(NAME)
        place.file(1).write_bytes(b"rot")
        assert rotate_kek(place.kek, place.stores).retired
        assert place.open().get(NAME).name == NAME

    def test_a_key_nobody_can_read_does(self, place):
        place.open().get_or_create(NAME)
        for store in (0, 1):
            place.file(store).write_bytes(b"rot")
        assert not rotate_kek(place.kek, place.stores).retired


def race(root: str, order: bool, names: list[str]) -> list[tuple[str, bytes]]:  # noqa: FBT001 - called by a pool
    place = Place(Path(root))
    place.stores.sort(reverse=order)
    return [(name, place.open().get_or_create(name).secret) for name in names]


def test_gateways_that_race_with_stores_in_different_order_end_with_one_key_each(place, tmp_path):
    names = [f"patient-{number}" for number in range(25)]
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        races = [pool.submit(race, str(tmp_path), order, names) for order in (False, True, False, True)]
        answers = [found for running in races for found in running.result(120)]
    assert len(answers) == 100
    assert len(set(answers)) == 25
    for name in names:
        assert place.file(0, name).read_bytes() == place.file(1, name).read_bytes()
        assert (name, place.open().get(name).secret) in answers


def start(root: str) -> tuple[bool, bool, int]:
    made = Place(Path(root)).init()
    return made.site_secret, made.key_encryption_key, made.stores


def test_two_first_starts_at_once_make_one_set(tmp_path):
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        made = [running.result(120) for running in [pool.submit(start, str(tmp_path)) for _ in range(3)]]
    assert sorted(made) == [(False, False, 0), (False, False, 0), (True, True, 2)]
    assert Place(tmp_path).open().get_or_create(NAME).name == NAME


def test_wrapped_keys_do_not_show(place):
    kek = load_ring(place.kek).current
    assert kek.secret.hex() not in repr(kek)
    assert repr(kek.secret) not in repr(kek)
    with pytest.raises(ValueError, match="32 bytes"):
        Kek(b"short")
