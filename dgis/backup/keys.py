"""The keys of a site as a file of their own, and back where there are none.

Patient keys are in it as the stores hold them, wrapped; what wraps them is in it as well, so the file has no
place beside the backup of the database or the nodes.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from deid.keys.durable import create, make_folder
from deid.keys.folder import FolderVault
from deid.keys.record import Tombstone, parse_record
from deid.keys.setup import open_key_store
from deid.keys.values import KeyDamaged, KeysError
from deid.keys.vault import Identity, VaultUnavailable
from dgis.backup.box import Opener
from dgis.backup.entries import EntryWriter
from dgis.backup.making import Made, Told, reading, write
from dgis.backup.values import BackupError, Manifest
from dgis.configuration import Configuration, Keys

_STORE = "keys/store/"


def back_up_keys(configuration: Configuration, path: Path, opener: Opener, now_ms: int, told: Told) -> Made:
    """Write site secret, key-encryption key, signing keys and patient keys into a file.

    Raises:
        BackupError: keys are missing, or the file cannot be written.
    """
    keys, gateway = configuration.keys, configuration.gateway

    def entries(writer: EntryWriter) -> Manifest:
        for name, file in _files(keys).items():
            if file.exists():
                writer.add(f"keys/{name}", [file.read_bytes()])
            elif name in {"site-secret", "kek"}:
                raise BackupError(f"there is no {name} here to be backed up")
        try:
            site = open_key_store(_files(keys)["kek"], keys.stores).site
            writer.add("keys/set", [json.dumps(site).encode()])
            told("patient keys")
            for name, content in _patient_keys(keys.stores):
                writer.add(f"{_STORE}{name}", [content])
        except (KeysError, VaultUnavailable) as error:
            raise BackupError(str(error)) from None
        return Manifest(now_ms, gateway.name, gateway.facility, "", "keys")

    return write(path, opener, entries, told)


def restore_keys(keys: Keys, path: Path, opener: Opener) -> int:
    """Put the keys of a file where the configuration wants them; returns how many patient keys.

    The key-encryption key is written last: a crash before leaves stores without it, and the same command goes
    on.

    Raises:
        BackupError: keys are there already and are others, or the file does not open.
    """
    found = _read(path, opener)
    files = _files(keys)
    for name, file in files.items():
        if file.exists() and f"keys/{name}" in found and file.read_bytes() != found[f"keys/{name}"]:
            raise BackupError(f"{file} is there and is another key; keys are never replaced")
    stored = {
        name.removeprefix(_STORE): content for name, content in found.items() if name.startswith(_STORE)
    }
    try:
        _fill_stores(keys.stores, json.loads(found["keys/set"]), stored)
        for name in ("site-secret", "audit-key", "grid-key", "kek"):
            if f"keys/{name}" in found:
                make_folder(files[name].parent)
                create(files[name], found[f"keys/{name}"])
    except (OSError, VaultUnavailable) as error:
        raise BackupError(f"cannot put the keys in place: {error}") from None
    return len(stored)


def _read(path: Path, opener: Opener) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with reading(path, opener) as reader:
        for name, pieces in reader:
            found[name] = b"".join(pieces)
        if reader.manifest.holds != "keys":
            raise BackupError("this backup holds a database and no keys")
    return found


def _fill_stores(stores: tuple[Path, ...], set_id: str, files: Mapping[str, bytes]) -> None:
    for ordinal, store in enumerate(stores):
        vault = FolderVault(store)
        identity = vault.identity()
        if identity is not None and identity.set_id != set_id:
            raise BackupError(f"{store} belongs to another set of key stores")
        if identity is None:
            vault.enrol(Identity(set_id, ordinal), files.items())


def _files(keys: Keys) -> dict[str, Path]:
    named = {
        "site-secret": keys.site_secret_file,
        "kek": keys.key_encryption_key_file,
        "audit-key": keys.audit_key_file,
        "grid-key": keys.grid_key_file,
    }
    return {name: path for name, path in named.items() if path is not None}


def _patient_keys(stores: tuple[Path, ...]) -> Iterator[tuple[str, bytes]]:
    """Yield the file of every key and tombstone that any store that answers holds; a tombstone wins."""
    vaults = [FolderVault(path) for path in stores]
    there = [vault for vault in vaults if vault.identity() is not None]
    for name in sorted({name for vault in there for name in vault.names()}):
        copies = [content for vault in there if (content := vault.read(name)) is not None]
        yield name, max(copies, key=lambda content: _worth(name, content))


def _worth(name: str, content: bytes) -> int:
    """Rate a copy: a tombstone is the last word, a damaged file says nothing."""
    try:
        return 2 if isinstance(parse_record(name, content), Tombstone) else 1
    except KeyDamaged:
        return 0
