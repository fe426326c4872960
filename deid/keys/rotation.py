import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deid.keys.durable import locked
from deid.keys.files import replace_secrets
from deid.keys.kek import Kek, KekRing
from deid.keys.setup import load_ring, open_key_store
from deid.keys.values import SECRET_BYTES, KeysRefused


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a rotation ended: `retired`: the old key-encryption key is gone; else repeat it for `pending`."""

    retired: bool
    pending: tuple[str, ...]


class Step(StrEnum):
    """How far a rotation is; each is durable when it is told."""

    BEGUN = "begun"  # the file holds the new key and the old one
    COPY = "copy"  # one more copy of a patient key is under the new one
    REWRAPPED = "rewrapped"  # every copy in every vault is
    RETIRED = "retired"  # the file holds the new key only


Told = Callable[[Step], None]


def prepare_kek(kek: Path) -> bool:
    """Put a new key-encryption key before the old one in the file, durably; False where two are there.

    With a copy of this file on every host, all of them can read what `rotate_kek` writes.

    Raises:
        KeysRefused: the file is not what it should be, or cannot be written.
    """
    with _alone(kek):
        return _prepare(kek)


def rotate_kek(kek: Path, stores: Sequence[Path], told: Told = lambda _step: None) -> Rotation:
    """Wrap all patient keys under a new key-encryption key and drop the old one. Crash-safe by repeating.

    First the file holds both keys, then every copy is wrapped anew, then the file holds the new one only
    (the commit point). While a store does not answer the old key stays, and the next call goes on from there.
    Keys are opened and made meanwhile; two calls at once wait for each other.

    Raises:
        KeysRefused: keys or stores are not what they should be; KeyStoreUnavailable: one went away.
    """
    with _alone(kek):
        store = open_key_store(kek, stores)
        _prepare(kek)
        told(Step.BEGUN)
        pending = store.rewrap(lambda _keys: told(Step.COPY)).pending
        if pending:
            return Rotation(retired=False, pending=pending)
        told(Step.REWRAPPED)
        # Nobody writes a copy under the old one while the guard is held: the last pass misses none.
        with store.no_new_keys():
            pending = store.rewrap().pending
            if pending:
                return Rotation(retired=False, pending=pending)
            _write(kek, KekRing((load_ring(kek).current,)))
        told(Step.RETIRED)
        return Rotation(retired=True, pending=())


def _prepare(kek: Path) -> bool:
    ring = load_ring(kek)
    if len(ring.keks) > 1:
        return False
    _write(kek, KekRing((Kek(secrets.token_bytes(SECRET_BYTES)), *ring.keks)))
    return True


def _write(kek: Path, ring: KekRing) -> None:
    try:
        replace_secrets(kek, tuple(held.secret for held in ring.keks))
    except OSError as error:
        raise KeysRefused(f"cannot write the key file {kek.name}: {error.strerror}") from error


@contextmanager
def _alone(kek: Path) -> Iterator[None]:
    """Hold the lock under which a key file is changed; `keys_init` holds the same."""
    try:
        with locked(kek.with_name(f"{kek.name}.lock"), exclusive=True):
            yield
    except OSError as error:
        raise KeysRefused(f"cannot lock the key file {kek.name}: {error.strerror}") from error
