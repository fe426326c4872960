from dataclasses import dataclass

import structlog

from deid.keys.kek import KekRing
from deid.keys.record import Tombstone, Wrapped, parse_record
from deid.keys.values import KeyDamaged, PatientKey
from deid.keys.vault import Identity, Vault, VaultUnavailable

_log = structlog.get_logger(__name__)

# Each turn ends because another process changed a vault in between; more than this is no race but a fault.
MOST_TURNS = 16


@dataclass(frozen=True, slots=True)
class Copy:
    """What one vault holds under a name: the file, what it says, and the key where it can be read."""

    vault: Vault
    content: bytes | None
    record: Wrapped | Tombstone | None
    key: PatientKey | None


def identity_of(vault: Vault) -> Identity | None:
    """Return which vault this is; None where it does not answer or was never initialised."""
    try:
        return vault.identity()
    except VaultUnavailable as error:
        _log.warning("key_store_unavailable", reason=str(error))
        return None


def read_copy(vault: Vault, name: str, content: bytes | None, ring: KekRing) -> Copy:
    """Make sense of a file; what cannot be read is logged and left for a better copy to replace."""
    if content is None:
        return Copy(vault, None, None, None)
    try:
        record = parse_record(name, content)
    except KeyDamaged:
        _log.warning("key_copy_damaged", store=vault.label)
        return Copy(vault, content, None, None)
    if isinstance(record, Tombstone):
        return Copy(vault, content, record, None)
    try:
        return Copy(vault, content, record, record.unwrap(ring))
    except KeyDamaged:
        _log.warning("key_copy_damaged", store=vault.label)
        return Copy(vault, content, record, None)


def bury_in(vault: Vault, name: str, tombstone: bytes) -> bool:
    """Put a tombstone into one vault, whatever is there; False where the vault does not answer."""
    try:
        for _ in range(MOST_TURNS):
            content = vault.read(name)
            if content is not None and _is_tombstone(name, content):
                return True
            if vault.swap(name, content, tombstone):
                return True
    except VaultUnavailable as error:
        _log.warning("key_store_unavailable", reason=str(error))
    return False


def _is_tombstone(name: str, content: bytes) -> bool:
    try:
        return isinstance(parse_record(name, content), Tombstone)
    except KeyDamaged:
        return False
