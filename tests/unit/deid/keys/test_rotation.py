"""Rotation, interrupted and beside others: no key is lost, and the old wrapping key goes only when it may."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from deid.keys.rotation import Step, prepare_kek, rotate_kek
from deid.keys.setup import load_ring
from deid.keys.values import KeyDamaged, KeyShredded, KeysRefused
from tests.unit.deid.keys.test_key_store import NOW_MS, Place, away, back

NAMES = [f"patient-{letter}" for letter in "abcde"]


class KilledError(BaseException):
    """Stands for a process that is gone: nothing after it runs."""


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.init()
    place.made = {name: place.open().get_or_create(name) for name in NAMES}
    return place


def keks(place):
    """Which wrapping keys the copies in the vaults are under."""
    files = [path for store in place.stores for path in (store / "keys").glob("*.json")]
    return {kek for path in files if (kek := json.loads(path.read_bytes()).get("kek"))}


def killing(at, only=None):
    steps = []

    def told(step):
        if only is None or step is only:
            steps.append(step)
            if len(steps) == at:
                raise KilledError

    return told


@pytest.mark.parametrize("at", range(1, 14))
def test_killed_at_any_step_every_key_opens_and_the_next_call_ends_it(place, at):
    old = load_ring(place.kek).current
    with suppress(KilledError):
        rotate_kek(place.kek, place.stores, killing(at))
    assert {name: place.open().get(name) for name in NAMES} == place.made
    ring = load_ring(place.kek)
    if ring.find(old.kek_id) is None:
        assert keks(place) == {ring.current.kek_id}  # it went when no copy was under it any more
    place.made["new"] = place.open().get_or_create("new")
    assert rotate_kek(place.kek, place.stores).retired
    assert {name: place.open().get(name) for name in place.made} == place.made
    (new,) = load_ring(place.kek).keks
    assert keks(place) == {new.kek_id}


def test_the_steps_are_told(place):
    steps = []
    rotate_kek(place.kek, place.stores, steps.append)
    assert steps == [Step.BEGUN, *[Step.COPY] * len(NAMES) * 2, Step.REWRAPPED, Step.RETIRED]


def test_an_interrupted_rotation_goes_on_with_the_key_it_began_with(place):
    with suppress(KilledError):
        rotate_kek(place.kek, place.stores, killing(3))
    new = load_ring(place.kek).current
    rotate_kek(place.kek, place.stores)
    assert load_ring(place.kek).keks == (new,)


def test_what_a_new_key_wraps_can_be_prepared_for_other_hosts(place):
    elsewhere = place.kek.with_name("kek-elsewhere")
    old = load_ring(place.kek).current
    assert prepare_kek(place.kek)
    assert not prepare_kek(place.kek)  # once is enough
    elsewhere.write_bytes(place.kek.read_bytes())
    elsewhere.chmod(0o600)
    assert rotate_kek(place.kek, place.stores).retired
    there = Place(place.kek.parent)
    there.kek = elsewhere
    assert {name: there.open().get(name) for name in NAMES} == place.made
    assert load_ring(elsewhere).find(old.kek_id) is not None  # until the file is copied again
    there.made = there.open().get_or_create("made-there")
    assert place.open().get("made-there") == there.made


def test_a_host_without_the_new_key_changes_nothing(place):
    """The order of the document was not kept: nothing is lost, the host waits for its file."""
    elsewhere = place.kek.with_name("kek-elsewhere")
    elsewhere.write_bytes(place.kek.read_bytes())
    elsewhere.chmod(0o600)
    rotate_kek(place.kek, place.stores)
    before = [place.file(store, NAMES[0]).read_bytes() for store in (0, 1)]
    there = Place(place.kek.parent)
    there.kek = elsewhere
    for use in (there.open().get, there.open().get_or_create):
        with pytest.raises(KeyDamaged):
            use(NAMES[0])
    assert [place.file(store, NAMES[0]).read_bytes() for store in (0, 1)] == before
    assert place.open().get(NAMES[0]) == place.made[NAMES[0]]


def test_a_tombstone_written_meanwhile_stays(place):
    def shredding(step):
        if step is Step.BEGUN:
            place.open().shred(NAMES[0], NOW_MS)

    assert rotate_kek(place.kek, place.stores, shredding).retired
    with pytest.raises(KeyShredded):
        place.open().get(NAMES[0])


def test_a_store_that_is_away_at_the_end_keeps_the_old_key(place):
    def leaving(step):
        if step is Step.REWRAPPED:
            away(place.stores[1])

    ended = rotate_kek(place.kek, place.stores, leaving)
    assert (ended.retired, ended.pending) == (False, (str(place.stores[1]),))
    assert len(load_ring(place.kek).keks) == 2
    back(place.stores[1])
    assert rotate_kek(place.kek, place.stores).retired


def test_a_copy_made_good_while_the_old_key_goes_is_under_the_new_one(place):
    """A copy is lost during the last pass, and a reader makes it good from what it read before that."""
    readers = place.open()
    survey = readers._survey

    def then_rotated(name):
        copies = survey(name)
        if place.file(1, name).exists():
            return copies
        readers._survey = survey
        assert rotate_kek(place.kek, place.stores).retired
        return copies

    readers._survey = then_rotated
    place.file(1, NAMES[0]).unlink()
    assert readers.get(NAMES[0]) == place.made[NAMES[0]]
    place.file(0, NAMES[0]).unlink()  # now the copy made good is the only one
    assert place.open().get(NAMES[0]) == place.made[NAMES[0]]


def test_a_key_file_that_cannot_be_written_is_said(place, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deid.keys.rotation.replace_secrets", full)
    with pytest.raises(KeysRefused, match="No space"):
        rotate_kek(place.kek, place.stores)
    assert {name: place.open().get(name) for name in NAMES} == place.made


def publish(root: str, names: list[str]) -> list[tuple[str, bytes]]:
    place = Place(Path(root))
    return [(name, place.open().get_or_create(name).secret) for name in names]


def rotations(root: str, times: int) -> int:
    place = Place(Path(root))
    return sum(rotate_kek(place.kek, place.stores).retired for _ in range(times))


def test_keys_are_made_and_read_while_others_rotate(place, tmp_path):
    names = [f"new-{number}" for number in range(60)]
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        makers = [pool.submit(publish, str(tmp_path), names[::step]) for step in (1, -1)]
        rotating = [pool.submit(rotations, str(tmp_path), 6) for _ in range(2)]
        answers = [found for maker in makers for found in maker.result(120)]
        assert [done.result(120) for done in rotating] == [6, 6]
    assert len(set(answers)) == len(names)
    assert all(place.open().get(name).secret == secret for name, secret in answers)
    assert {name: place.open().get(name) for name in NAMES} == place.made
    assert keks(place) == {load_ring(place.kek).current.kek_id}
