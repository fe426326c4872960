import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deid.keys.durable import locked, make_folder, sync_folder
from deid.keys.files import create_secrets, load_secrets
from deid.keys.folder import FolderVault
from deid.keys.kek import Kek, KekRing
from deid.keys.store import KeyStore
from deid.keys.values import KeysRefused
from deid.keys.vault import Identity, Vault, VaultUnavailable

_SET_BYTES = 16


@dataclass(frozen=True, slots=True)
class KeysMade:
    """What `keys_init` made; all False and 0 where everything was there already."""

    site_secret: bool
    key_encryption_key: bool
    stores: int


def keys_init(site_secret: Path, kek: Path, stores: Sequence[Path], *, new_set: bool = False) -> KeysMade:
    """Make what is missing of site secret, key-encryption key and key stores; change nothing else.

    A store that is new beside older ones gets every key of theirs before it counts. `new_set` says that a
    key-encryption key without any store is a beginning, not disks that are away. The key-encryption key takes
    its name last (the commit point): a crash before leaves what the next call goes on with. Two calls at
    once wait for each other.

    Raises:
        KeysRefused: keys would be made anew where old ones are away, files are open to others, or the stores
            belong to different sets.
    """
    vaults = [FolderVault(path) for path in stores]
    if not vaults:
        raise KeysRefused("at least one key store is needed")
    unborn = _unborn(kek)
    try:
        make_folder(kek.parent)
        with locked(kek.with_name(f"{kek.name}.lock"), exclusive=True):
            identities = [vault.identity() for vault in vaults]
            known = {identity for identity in identities if identity is not None}
            _check_state(known, kek, unborn, new_set=new_set)
            made_kek = not kek.exists()
            if made_kek:
                create_secrets(unborn)
            made_secret = create_secrets(site_secret)
            load_secrets(site_secret)
            load_ring(unborn if made_kek else kek)
            new = _enrol(vaults, identities, known)
            if made_kek:
                unborn.rename(kek)
                sync_folder(kek.parent)
    except (OSError, VaultUnavailable) as error:
        raise KeysRefused(f"cannot set up the keys: {error}") from error
    return KeysMade(made_secret, made_kek, new)


def keys_are_unborn(site_secret: Path, kek: Path) -> bool:
    """Whether `keys_init` never came to its commit point here; a key gone astray is no such beginning."""
    return not kek.exists() and (_unborn(kek).exists() or not site_secret.exists())


def _unborn(kek: Path) -> Path:
    """Where the key-encryption key lies until everything else is made; it is made before anything else."""
    return kek.with_name(f"{kek.name}.new")


def _check_state(known: set[Identity], kek: Path, unborn: Path, *, new_set: bool) -> None:
    if len({identity.set_id for identity in known}) > 1:
        raise KeysRefused("the configured key stores do not belong together")
    if known and not kek.exists() and not unborn.exists():
        raise KeysRefused(
            f"key stores are there but the key-encryption key {kek.name} is not: bring it back; "
            "a new one could not open them"
        )
    if kek.exists() and not known and not new_set:
        raise KeysRefused(
            f"the key-encryption key {kek.name} is there but no key store: mount their disks, "
            "or say that this is a new set of stores"
        )


def open_key_store(kek: Path, stores: Sequence[Path], *, copies_needed: int | None = None) -> KeyStore:
    """Open the key stores of a configuration.

    Raises:
        KeysRefused: keys or stores are not what they should be.
    """
    load_ring(kek)
    vaults = [FolderVault(path) for path in stores]
    return KeyStore(vaults, lambda: load_ring(kek), copies_needed=copies_needed)


def load_ring(kek: Path) -> KekRing:
    """Read the key-encryption keys of a file, the current one first.

    Raises:
        KeysRefused: the file is missing, open to others, or holds something else.
    """
    return KekRing(tuple(Kek(secret) for secret in load_secrets(kek)))


def _enrol(vaults: Sequence[Vault], identities: Sequence[Identity | None], known: set[Identity]) -> int:
    set_id = next((identity.set_id for identity in known), secrets.token_hex(_SET_BYTES))
    taken = {identity.ordinal for identity in known}
    free = (ordinal for ordinal in range(len(vaults) + len(taken)) if ordinal not in taken)
    old = [vault for vault, identity in zip(vaults, identities, strict=True) if identity is not None]
    new = 0
    for vault, identity in zip(vaults, identities, strict=True):
        if identity is None:
            vault.enrol(Identity(set_id, next(free)), _all_files(old))
            new += 1
    return new


def _all_files(vaults: Sequence[Vault]) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for vault in vaults:
        for name in vault.names():
            content = vault.read(name)
            if name not in seen and content is not None:
                seen.add(name)
                yield name, content
