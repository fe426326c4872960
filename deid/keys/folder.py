import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deid.keys.durable import create, locked, make_folder, replace, sync_folder, temporaries_of
from deid.keys.values import parse_key_name
from deid.keys.vault import Identity, VaultUnavailable

_IDENTITY = "vault.json"
_KEYS = "keys"
_LOCK = "lock"
_SWAP_LOCK = "lock.swap"
_VERSION = 1


class FolderVault:
    """A vault in a folder of a local or NFS file system (hard links and locks are needed).

    `vault.json` says which vault it is, and without it nothing is read or written: the empty mount point of
    a disk that is away is never taken for a vault without keys.
    """

    def __init__(self, path: Path) -> None:
        """Look at nothing yet."""
        self._path = path

    @property
    def label(self) -> str:
        """The folder."""
        return str(self._path)

    def identity(self) -> Identity | None:
        """Return which vault this is; None where the folder is absent or was never initialised."""
        with _answering(self.label):
            try:
                raw = (self._path / _IDENTITY).read_bytes()
            except FileNotFoundError:
                return None
        try:
            found = json.loads(raw)
            if found["version"] != _VERSION:
                raise VaultUnavailable(f"key store {self.label}: vault.json has an unknown version")
            return Identity(str(found["set"]), int(found["ordinal"]))
        except (ValueError, KeyError, TypeError) as error:
            raise VaultUnavailable(f"key store {self.label}: vault.json is damaged") from error

    def enrol(self, identity: Identity, files: Iterable[tuple[str, bytes]]) -> None:
        """Write the files, then vault.json; refuse a vault that is another one already."""
        fields = {"version": _VERSION, "set": identity.set_id, "ordinal": identity.ordinal}
        with _answering(self.label):
            make_folder(self._path / _KEYS)
            for name, content in files:
                create(self._file(name), content)
            made = create(self._path / _IDENTITY, json.dumps(fields).encode("ascii") + b"\n")
        if not made and self.identity() != identity:
            raise VaultUnavailable(f"key store {self.label} belongs to another set of stores")

    def read(self, name: str) -> bytes | None:
        """Return the file of a key."""
        with _answering(self.label):
            try:
                return self._file(name).read_bytes()
            except FileNotFoundError:
                self._check_mounted()
                return None

    def swap(self, name: str, expected: bytes | None, content: bytes) -> bool:
        """Give the file this content if it still has the expected one."""
        file = self._file(name)
        with _answering(self.label):
            self._check_mounted()
            if expected is None:
                return create(file, content)
            with locked(self._path / _SWAP_LOCK, exclusive=True):
                if self.read(name) != expected:
                    return False
                replace(file, content)
                # What a crash left of an earlier write may hold the very key that is being destroyed.
                for leftover in temporaries_of(file):
                    leftover.unlink(missing_ok=True)
                return True

    def settle(self) -> None:
        """Make the names of all files durable; their contents are before they get a name."""
        with _answering(self.label):
            sync_folder(self._path / _KEYS)

    def names(self) -> Iterator[str]:
        """List the names of all files."""
        with _answering(self.label):
            self._check_mounted()
            for file in sorted((self._path / _KEYS).glob("[!.]*.json")):
                yield file.stem

    @contextmanager
    def guard(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the vault's lock."""
        with _answering(self.label):
            self._check_mounted()
            with locked(self._path / _LOCK, exclusive=exclusive):
                yield

    def _file(self, name: str) -> Path:
        return self._path / _KEYS / f"{parse_key_name(name)}.json"

    def _check_mounted(self) -> None:
        if not (self._path / _IDENTITY).exists():
            raise VaultUnavailable(f"key store {self.label} is not initialised, or its disk is not mounted")


@contextmanager
def _answering(label: str) -> Iterator[None]:
    """Say of an operating system error which vault it concerns, without the name of a key."""
    try:
        yield
    except OSError as error:
        raise VaultUnavailable(f"key store {label}: {error.strerror}") from error
