import stat

import pytest

from deid.keys import setup
from deid.keys.files import load_secrets
from deid.keys.folder import FolderVault
from deid.keys.setup import KeysMade, keys_are_unborn, keys_init, load_ring, open_key_store
from deid.keys.values import KeysRefused
from tests.unit.deid.keys.test_key_store import NAME, Place, away


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_the_first_start_makes_everything_and_the_second_nothing(place):
    assert place.init() == KeysMade(site_secret=True, key_encryption_key=True, stores=2)
    before = [path.read_bytes() for path in (place.secret, place.kek)]
    assert place.init() == KeysMade(site_secret=False, key_encryption_key=False, stores=0)
    assert [path.read_bytes() for path in (place.secret, place.kek)] == before
    assert before[0] != before[1]
    for path in (place.secret, place.kek):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(load_secrets(path)[0]) == 32
    for path in place.stores:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_key_files_open_to_others_are_refused(place, mode):
    place.init()
    place.kek.chmod(mode)
    with pytest.raises(KeysRefused, match="chmod 600"):
        open_key_store(place.kek, place.stores)
    with pytest.raises(KeysRefused, match="chmod 600"):
        place.init()


@pytest.mark.parametrize("content", [b"", b"\n", b"00" * 31, b"zz" * 32, bytes(range(128, 160)), b"00" * 33])
def test_key_files_that_hold_no_key_are_refused_without_quoting_them(place, content):
    place.init()
    place.kek.write_bytes(content)
    with pytest.raises(KeysRefused) as caught:
        load_ring(place.kek)
    assert "64 hex digits" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_missing_key_file_says_how_to_make_one(place):
    with pytest.raises(KeysRefused, match="dgis keys init"):
        load_secrets(place.secret)


def test_no_new_kek_is_made_beside_stores_that_need_the_old_one(place):
    place.init()
    place.kek.unlink()
    with pytest.raises(KeysRefused, match="bring it back"):
        place.init()
    assert not place.kek.exists()


def test_no_new_set_is_made_while_the_stores_are_away(place):
    place.init()
    for path in place.stores:
        away(path)
    with pytest.raises(KeysRefused, match="mount their disks"):
        place.init()
    assert all(not list(path.iterdir()) for path in place.stores)


def test_a_kek_that_was_brought_along_may_begin_a_set(place):
    place.kek.write_text("ab" * 32)
    place.kek.chmod(0o600)
    assert place.init(new_set=True) == KeysMade(site_secret=True, key_encryption_key=False, stores=2)
    assert load_ring(place.kek).current.secret == bytes.fromhex("ab" * 32)


def test_a_start_that_was_cut_short_is_gone_on_with(place):
    place.init()
    place.kek.rename(place.kek.with_name("kek.new"))
    place.stores[1].joinpath("vault.json").unlink()
    assert place.init() == KeysMade(site_secret=False, key_encryption_key=True, stores=1)
    assert place.open().get_or_create(NAME).name == NAME


@pytest.mark.parametrize("step", ["create_secrets", "load_secrets", "_enrol", "sync_folder"])
def test_wherever_a_first_start_breaks_off_the_next_one_goes_on(place, monkeypatch, step):
    times = 2 if step == "create_secrets" else 1  # between the one secret and the other
    with monkeypatch.context() as broken:
        broken.setattr(setup, step, breaks_off(getattr(setup, step), times))
        with pytest.raises(KeyboardInterrupt):
            place.init()
    born = place.kek.exists()
    assert keys_are_unborn(place.secret, place.kek) is not born
    place.init()
    assert not keys_are_unborn(place.secret, place.kek)
    assert place.open().get_or_create(NAME).name == NAME


def test_a_missing_kek_is_no_beginning(place):
    assert keys_are_unborn(place.secret, place.kek)
    place.init()
    place.kek.unlink()
    assert not keys_are_unborn(place.secret, place.kek)


def breaks_off(real, times):
    """The same function, at whose nth call the process dies."""
    calls = iter(range(1, times))

    def call(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return real(*arguments)

    return call


def test_a_new_store_gets_every_key_before_it_counts(tmp_path):
    first, all_three = Place(tmp_path, 2), Place(tmp_path, 3)
    first.init()
    key = first.open().get_or_create(NAME)
    assert all_three.init().stores == 1
    assert all_three.file(2).read_bytes() == all_three.file(0).read_bytes()
    assert FolderVault(all_three.stores[2]).identity().ordinal == 2
    assert open_key_store(all_three.kek, all_three.stores[2:]).get(NAME) == key


def test_a_decider_that_was_lost_is_made_anew_from_the_others(place, tmp_path):
    place.init()
    key = place.open().get_or_create(NAME)
    decider = place.decider()
    away(place.stores[decider])
    assert place.init().stores == 1
    assert place.decider() == decider
    assert place.open().get_or_create(NAME) == key


def test_stores_of_two_sites_do_not_mix(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = Place(tmp_path / "one"), Place(tmp_path / "two")
    one.init()
    two.init()
    mixed = [one.stores[0], two.stores[1]]
    with pytest.raises(KeysRefused, match="belong together"):
        open_key_store(one.kek, mixed)
    with pytest.raises(KeysRefused, match="belong together"):
        keys_init(one.secret, one.kek, mixed)


def test_one_store_named_twice_is_noticed(place):
    place.init()
    with pytest.raises(KeysRefused, match="belong together"):
        open_key_store(place.kek, [place.stores[0], place.stores[0]])


def test_no_store_at_all_is_refused(place):
    with pytest.raises(KeysRefused, match="at least one"):
        keys_init(place.secret, place.kek, [])
