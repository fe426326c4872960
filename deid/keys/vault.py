from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


class VaultUnavailable(Exception):  # noqa: N818 - named like the other unavailable things
    """This vault does not answer, or is not the initialised vault it should be (an unmounted disk)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which set of vaults a vault belongs to, and its place in it; the one with place 0 decides races."""

    set_id: str
    ordinal: int


class Vault(Protocol):
    """One of the stores that each hold every patient key of a site, wrapped: small files under checked names.

    Everything is durable when it returns. Every method may raise VaultUnavailable.
    """

    @property
    def label(self) -> str:
        """What messages call it."""

    def identity(self) -> Identity | None:
        """Return which vault this is; None where it was never initialised."""

    def enrol(self, identity: Identity, files: Iterable[tuple[str, bytes]]) -> None:
        """Write these files, then make this an initialised vault: the commit point of setting one up."""

    def read(self, name: str) -> bytes | None:
        """Return the file of a key; None where there is none."""

    def swap(self, name: str, expected: bytes | None, content: bytes) -> bool:
        """Give the file this content if it still has the expected one (None: does not exist); else False."""

    def settle(self) -> None:
        """Make durable what other processes wrote and may not have synced before they died."""

    def names(self) -> Iterator[str]:
        """List the names of all files."""

    def guard(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Hold the vault's lock: shared while a key is created, exclusive while an old wrapping key goes."""
