from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deid.keys.copies import Copy, read_copy
from deid.keys.kek import KekRing
from deid.keys.record import Tombstone, Wrapped
from deid.keys.vault import Vault, VaultUnavailable


@dataclass(frozen=True, slots=True)
class VaultCount:
    """What one vault holds, in numbers; all 0 where it does not answer.

    `outdated` copies are wrapped under a key-encryption key that only unwraps (a rotation is under way),
    `missing` lie in another vault that answers and not here.
    """

    label: str
    answers: bool
    keys: int = 0
    outdated: int = 0
    unreadable: int = 0
    shredded: int = 0
    missing: int = 0


def census(vaults: Sequence[Vault], ring: KekRing) -> tuple[VaultCount, ...]:
    """Count what the vaults hold, one by one; changes nothing, names nobody."""
    held = [_read(vault, ring) for vault in vaults]
    everywhere = {name for copies in held if copies for name in copies}
    return tuple(
        VaultCount(vault.label, answers=False) if copies is None else _count(vault, copies, ring, everywhere)
        for vault, copies in zip(vaults, held, strict=True)
    )


def _read(vault: Vault, ring: KekRing) -> dict[str, Copy] | None:
    try:
        if vault.identity() is None:
            return None
        return {name: read_copy(vault, name, vault.read(name), ring) for name in vault.names()}
    except VaultUnavailable:
        return None


def _count(vault: Vault, copies: dict[str, Copy], ring: KekRing, everywhere: set[str]) -> VaultCount:
    def number(holds: Callable[[Copy], bool]) -> int:
        return sum(map(holds, copies.values()))

    return VaultCount(
        label=vault.label,
        answers=True,
        keys=number(lambda copy: copy.key is not None),
        outdated=number(lambda copy: copy.key is not None and _is_outdated(copy, ring)),
        unreadable=number(lambda copy: copy.key is None and not isinstance(copy.record, Tombstone)),
        shredded=number(lambda copy: isinstance(copy.record, Tombstone)),
        missing=len(everywhere - copies.keys()),
    )


def _is_outdated(copy: Copy, ring: KekRing) -> bool:
    return isinstance(copy.record, Wrapped) and copy.record.kek_id != ring.current.kek_id
