import pytest

from deid.keys.generations import current_key, current_name, generation_of, patient_of
from deid.keys.standing import State
from deid.keys.values import KeyStoreUnavailable
from tests.unit.deid.keys.test_key_store import NAME, NOW_MS, Place, away


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    made.init()
    return made


def test_a_destroyed_key_is_followed_by_the_next_generation(place):
    keys = place.open()
    first = current_key(keys, NAME)
    assert current_key(keys, NAME) == first
    keys.shred(NAME, NOW_MS)
    second = current_key(keys, NAME)
    assert (second.name, current_key(keys, NAME)) == (f"{NAME}-2", second)
    assert second.secret != first.secret
    keys.shred(second.name, NOW_MS)
    assert current_name(keys, NAME) == f"{NAME}-3"
    assert current_key(keys, NAME).name == f"{NAME}-3"


def test_asking_for_the_name_makes_no_key(place):
    assert current_name(place.open(), NAME) == NAME
    assert place.open().names() == ()


def test_a_name_that_is_known_to_be_destroyed_counts_as_such(place):
    """The one vault that has the tombstone may be away, and the other restored from before."""
    keys = place.open()
    keys.get_or_create(NAME)
    assert current_name(keys, NAME, barred={NAME}) == f"{NAME}-2"


@pytest.mark.parametrize(
    ("name", "patient", "generation"),
    [
        ("abcd", "abcd", 1),
        ("abcd-2", "abcd", 2),
        ("abcd-10", "abcd", 10),
        ("abcd-1", "abcd-1", 1),
        ("abcd-02", "abcd-02", 1),
        ("a-b", "a-b", 1),
    ],
)
def test_a_name_says_whose_key_it_is(name, patient, generation):
    assert (patient_of(name), generation_of(name)) == (patient, generation)


def test_what_became_of_a_name_is_said_and_copies_are_made_good(place):
    keys = place.open()
    assert keys.standing(NAME).state is State.MISSING
    keys.get_or_create(NAME)
    place.file(1).unlink()
    assert keys.standing(NAME).state is State.HELD
    assert place.file(1).exists()
    for store in (0, 1):
        place.file(store).write_bytes(b"rot")
    assert keys.standing(NAME).state is State.DAMAGED
    keys.shred(NAME, NOW_MS)
    place.file(0).unlink()
    standing = keys.standing(NAME)
    assert (standing.state, standing.shredded_ms) == (State.SHREDDED, NOW_MS)
    assert place.file(0).exists()
    for store in place.stores:
        away(store)
    with pytest.raises(KeyStoreUnavailable):
        keys.standing(NAME)


def test_names_are_those_of_any_vault(place):
    keys = place.open()
    for name in ("one", "two"):
        keys.get_or_create(name)
    place.file(0, "one").unlink()
    away(place.stores[1])
    assert keys.names() == ("two",)
