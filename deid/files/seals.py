import hmac
import json
import secrets as randomness
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from deid.elements import Buffer
from deid.files.instance import restored_pieces
from deid.files.placing import Shelf
from deid.files.tree import read_file
from deid.keys.folder import FolderVault
from deid.keys.kek import Kek, KekRing
from deid.keys.record import Wrapped, parse_record
from deid.keys.store import KeyStore
from deid.keys.values import KeyDamaged, KeysError, PatientKey
from deid.keys.vault import Identity, VaultUnavailable
from deid.pseudonyms import SiteSecrets
from deid.restore import RestoreRefused
from deid.seal.reader import CompanionReader, open_companion, read_names
from deid.seal.values import Sealable, SealedInstance, SealNames, SealReason, SealRefused
from deid.seal.writer import seal_part
from deid.splice.program import encode_program

_KEYS = "keys"
_COMPANIONS = "originals"
_SUFFIX = ".seal"
_SET_BYTES = 16
_NAME_BYTES = 20
_VERSION = 1
# Purposes of keys derived from the site secret (HKDF): what wraps patient keys here, what names companions.
_WRAPPING, _NAMING = "sealed-folder-kek", "sealed-folder-name"


class SealsRefused(Exception):  # noqa: N818 - a refusal, in the words of this project
    """A sealed folder cannot be used; the message says what to do and names no file."""


class Row(NamedTuple):
    """What is sealed beside an original: its path, and where the pixels are that its seal refers to.

    `place` is the path of the de-identified file below its folder, "" where the original is sealed whole;
    `native_bytes` is the length of a native frame in it, 0 for fragments.
    """

    path: str
    place: str = ""
    native_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One original to seal, its row, and the de-identified file on disk, where its seal refers to that."""

    sealable: Sealable = field(repr=False)
    row: Row = field(repr=False)
    published: Path | None = None


class SealedFolder:
    """Originals, sealed: companions (SEAL.md) in a folder, beside the wrapped keys that open them.

    What wraps the keys is derived from the site secret, which lies elsewhere: secret and folder together give
    the originals back, neither does alone.
    """

    def __init__(self, folder: Path, site: SiteSecrets) -> None:
        """Open a folder that `prepare` made.

        Raises:
            SealsRefused: no sealed folder, or sealed under another secret.
        """
        self._folder = folder
        self._naming = site.key(_NAMING)
        kek = Kek(site.key(_WRAPPING))
        vault = FolderVault(folder / _KEYS)
        try:
            if vault.identity() is None:
                raise SealsRefused("this is no folder of sealed originals: it has no keys in it")
            _check_secret(vault, kek)
            self._keys = KeyStore([vault], lambda: KekRing((kek,)))
        except (VaultUnavailable, KeysError):
            raise SealsRefused("the keys in the sealed folder cannot be read") from None
        self._shelf = Shelf(folder, 0o600, 0o700)
        self._key = cache(self._keys.get_or_create)

    @staticmethod
    def prepare(folder: Path) -> None:
        """Make the key store of a folder where there is none; a folder that has one stays as it is.

        Raises:
            SealsRefused: it cannot be written.
        """
        vault = FolderVault(folder / _KEYS)
        try:
            if vault.identity() is None:
                vault.enrol(Identity(randomness.token_hex(_SET_BYTES), 0), ())
        except VaultUnavailable:
            raise SealsRefused("the sealed folder cannot be written") from None

    def keep(self, patient_key: str, entries: Sequence[Entry]) -> bool:
        """Seal originals of one patient, durable and proven when this returns; False: they were already.

        Each original is restored once from what was written before it is trusted. The companion's name
        follows from its content, so sealing the same again does nothing; one that is damaged is replaced.

        Raises:
            KeysError: the patient's key was destroyed, or cannot be had.
            RestoreRefused, SealRefused: an original does not come back; nothing is kept then.
            OSError: the folder cannot be written.
        """
        key = self._key(patient_key)
        part = self._name(entries)
        names = SealNames(self._keys.site, patient_key, part)
        place = f"{_COMPANIONS}/{part[:2]}/{part}{_SUFFIX}"
        final = self._folder / place
        if final.exists():
            with suppress(SealRefused, RestoreRefused):
                _prove(final, key, names, entries)
                return False
        unfinished = self._shelf.unfinished()
        rows = _encode([entry.row for entry in entries])
        with unfinished.open("x+b") as spool:
            unfinished.chmod(0o600)
            seal_part([entry.sealable for entry in entries], names, key, rows, spool=spool)
        _prove(unfinished, key, names, entries)
        self._shelf.sync([unfinished])
        if not self._shelf.name(unfinished, place):
            unfinished.replace(final)
        self._shelf.settle()
        return True

    def companions(self) -> Iterator[Path]:
        """List the companions, by name."""
        yield from sorted((self._folder / _COMPANIONS).glob(f"*/*{_SUFFIX}"))

    def open(self, companion: Path) -> "Opened":
        """Open one companion.

        Raises:
            SealRefused: no companion, damaged, or not made for a folder.
            KeysError: the patient's key was destroyed, or cannot be had.
            OSError: it cannot be read.
        """
        source = _FileSource(companion)
        names = read_names(source)
        reader = open_companion(source, self._keys.get(names.patient_key), names)
        return Opened(reader, _decode(reader.rows()))

    def _name(self, entries: Sequence[Entry]) -> str:
        digest = hmac.new(self._naming, digestmod="sha256")
        for entry in entries:
            program = encode_program(entry.sealable.program)
            said = json.dumps([*entry.row, len(entry.sealable.original), len(program)]).encode("ascii")
            digest.update(len(said).to_bytes(4, "big") + said + entry.sealable.sha256 + program)
        return digest.digest()[:_NAME_BYTES].hex()


@dataclass(frozen=True, slots=True)
class Opened:
    """A companion open for reading: originals in the order of `rows`."""

    reader: CompanionReader
    rows: tuple[Row, ...] = field(repr=False)

    def instance(self, index: int) -> SealedInstance:
        """Return one original, sealed.

        Raises:
            SealRefused: its block is damaged.
        """
        return self.reader.instance(index)


def _prove(companion: Path, key: PatientKey, names: SealNames, entries: Sequence[Entry]) -> None:
    reader = open_companion(_FileSource(companion), key, names)
    for index, entry in enumerate(entries):
        sealed = reader.instance(index)
        published = b"" if entry.published is None else read_file(entry.published)
        restored_pieces(sealed, published, entry.row.native_bytes)


def _check_secret(vault: FolderVault, kek: Kek) -> None:
    """Refuse a folder whose keys another secret wraps: seals of two secrets would not open together."""
    for name in vault.names():
        content = vault.read(name)
        with suppress(KeyDamaged):
            record = parse_record(name, content or b"")
            if isinstance(record, Wrapped) and record.kek_id != kek.kek_id:
                raise SealsRefused("the sealed folder was made with another secret: give that one")
            return


def _encode(rows: Sequence[Row]) -> bytes:
    return json.dumps({"version": _VERSION, "files": rows}).encode("ascii")


def _decode(raw: bytes) -> tuple[Row, ...]:
    try:
        found = json.loads(raw)
        if found["version"] == _VERSION:
            return tuple(Row(str(path), str(place), int(size)) for path, place, size in found["files"])
    except (ValueError, KeyError, TypeError):
        pass  # authenticated, so written by us: by a later version, or not for a folder
    raise SealRefused(SealReason.UNKNOWN_VERSION)


class _FileSource:
    """A companion on disk, read by ranges."""

    def __init__(self, path: Path) -> None:
        self._bytes = read_file(path)
        self.size = len(self._bytes)

    def read(self, start: int, length: int) -> Buffer:
        return self._bytes[start : start + length]
