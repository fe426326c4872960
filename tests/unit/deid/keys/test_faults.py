"""Wherever the key store is interrupted, a key that was handed out once is the key for ever."""

from contextlib import suppress

import pytest

from deid.keys.folder import FolderVault
from deid.keys.setup import load_ring
from deid.keys.store import KeyStore
from deid.keys.values import KeyShredded, KeyStoreUnavailable
from deid.keys.vault import VaultUnavailable
from tests.unit.deid.keys.test_key_store import NAME, NOW_MS, Place


class KilledError(BaseException):
    """Stands for a process that is gone: nothing after it runs."""


class Script:
    """Counts the calls to all vaults and makes one of them fail, before or after it took effect."""

    def __init__(self, at: int, after: bool, error: type[BaseException]):  # noqa: FBT001 - a table calls it
        self.at, self.after, self.error, self.calls = at, after, error, 0

    def run(self, call, *arguments):
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise self.error("scripted")
        answer = call(*arguments)
        if self.calls == self.at:
            raise self.error("scripted")
        return answer


class ScriptedVault(FolderVault):
    def __init__(self, path, script):
        super().__init__(path)
        self._script = script

    def read(self, name):
        return self._script.run(super().read, name)

    def swap(self, name, expected, content):
        return self._script.run(super().swap, name, expected, content)

    def settle(self):
        return self._script.run(super().settle)


def scripted(place: Place, script: Script) -> KeyStore:
    return KeyStore([ScriptedVault(path, script) for path in place.stores], lambda: load_ring(place.kek))


CASES = [
    (at, after, error)
    for at in range(1, 9)
    for after in (False, True)
    for error in (KilledError, VaultUnavailable)
]


@pytest.mark.parametrize(("at", "after", "error"), CASES)
def test_an_interrupted_creation_leaves_one_key(tmp_path, at, after, error):
    place = Place(tmp_path)
    place.init()
    handed_out = set()
    with suppress(KilledError, KeyStoreUnavailable):
        handed_out.add(scripted(place, Script(at, after, error)).get_or_create(NAME).secret)
    for order in (1, -1):
        place.stores = place.stores[::order]
        handed_out.add(place.open().get_or_create(NAME).secret)
    assert len(handed_out) == 1
    assert place.file(0).read_bytes() == place.file(1).read_bytes()


@pytest.mark.parametrize(("at", "after", "error"), CASES)
def test_an_interrupted_shredding_is_finished_by_the_next(tmp_path, at, after, error):
    place = Place(tmp_path)
    place.init()
    place.open().get_or_create(NAME)
    with suppress(KilledError):
        scripted(place, Script(at, after, error)).shred(NAME, NOW_MS)
    assert place.open().shred(NAME, NOW_MS).pending == ()
    with pytest.raises(KeyShredded):
        place.open().get(NAME)
    assert all(b"wrapped" not in place.file(store).read_bytes() for store in (0, 1))


def test_the_script_reaches_every_call_of_a_creation(tmp_path):
    place = Place(tmp_path)
    place.init()
    script = Script(0, after=False, error=KilledError)
    scripted(place, script).get_or_create(NAME)
    assert script.calls == 8
