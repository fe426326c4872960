import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from deid.keys.copies import MOST_TURNS, Copy, bury_in, identity_of, read_copy
from deid.keys.kek import KekRing
from deid.keys.record import Tombstone, Wrapped, wrap
from deid.keys.standing import Standing, State
from deid.keys.values import (
    SECRET_BYTES,
    KeyDamaged,
    KeyMissing,
    KeyShredded,
    KeysRefused,
    KeyStoreUnavailable,
    PatientKey,
    parse_key_name,
)
from deid.keys.vault import Vault, VaultUnavailable

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Spread:
    """How far a change got: the vaults that have it, and those that did not answer and still need it."""

    done: tuple[str, ...]
    pending: tuple[str, ...]


class KeyStore:
    """The patients' keys, wrapped, in several vaults that each hold them all.

    The vault with ordinal 0 decides: a key exists from the moment its file was created there, which only one
    process can do, whatever the order of the vaults in a configuration. A key is handed out for sealing only
    when it is durable in `copies_needed` vaults (all of them by default); for opening, one readable copy is
    enough. A missing or damaged copy is written again when it is noticed. A tombstone in any vault wins over
    keys in all others and is spread to them.
    """

    def __init__(
        self, vaults: Sequence[Vault], ring: Callable[[], KekRing], *, copies_needed: int | None = None
    ) -> None:
        """Take the vaults of one set; `ring` reads the key-encryption keys anew whenever they are needed.

        Raises:
            KeysRefused: the vaults that answer are not one set, or none answers.
        """
        self._vaults = tuple(vaults)
        self._ring = ring
        self._copies_needed = len(self._vaults) if copies_needed is None else copies_needed
        if not 0 < self._copies_needed <= len(self._vaults):
            raise KeysRefused("copies_needed must be at least 1 and at most the number of key stores")
        self._ordinals: dict[Vault, int] = {}
        self.site = self._join()

    def get_or_create(self, name: str) -> PatientKey:
        """Return the patient's key for sealing, made now if there is none; durable when this returns.

        Raises:
            KeyShredded: the key was destroyed; KeyStoreUnavailable: fewer copies than needed can be made now;
            KeyDamaged: nothing readable, or different keys. None of them changes a key that is there.
        """
        parse_key_name(name)
        for _ in range(MOST_TURNS):
            copies = self._survey(name)
            key = self._agreed(name, copies)
            if len(copies) < self._copies_needed:
                raise KeyStoreUnavailable(
                    f"{len(copies)} of {len(self._vaults)} key stores answer, {self._copies_needed} must"
                )
            if key is None:
                self._create(name, copies)
            elif self._heal(name, key, copies):
                self._settle(copies)
                return key
        raise KeyStoreUnavailable("the key stores keep changing under the same key")

    def get(self, name: str) -> PatientKey:
        """Return the patient's key for opening, from whichever vault has it.

        Raises:
            KeyMissing: no vault that answers has it; KeyShredded; KeyDamaged; KeyStoreUnavailable.
        """
        parse_key_name(name)
        copies = self._survey(name)
        if not copies:
            raise KeyStoreUnavailable("no key store answers")
        key = self._agreed(name, copies)
        if key is None:
            raise KeyMissing("no key store that answers holds this key")
        self._heal_later(name, key, copies)
        return key

    def shred(self, name: str, now_ms: int) -> Spread:
        """Destroy a patient's key in every vault that answers, for ever; a name never used is barred as well.

        Vaults in `pending` may still hold a wrapped copy: repeat when they answer (reading spreads it too).
        Copies in backups of the vaults fall when the key-encryption key is rotated and the old one destroyed.

        Raises:
            KeyStoreUnavailable: no vault answers.
        """
        parse_key_name(name)
        tombstone = Tombstone(name, now_ms).encode()
        spread = self._bury(name, tombstone, self._by_ordinal(self._vaults))
        if not spread.done:
            raise KeyStoreUnavailable("no key store answers")
        return spread

    def names(self) -> tuple[str, ...]:
        """Return the names under which any vault that answers has a file, in order."""
        found: set[str] = set()
        for vault in self._vaults:
            try:
                if self._is_ours(vault):
                    found.update(vault.names())
            except VaultUnavailable as error:
                _log.warning("key_store_unavailable", reason=str(error))
        return tuple(sorted(found))

    def standing(self, name: str) -> Standing:
        """Say what became of a name; copies that are missing or damaged are made good on the way.

        Raises:
            KeyStoreUnavailable: no vault answers.
        """
        parse_key_name(name)
        copies = self._survey(name)
        if not copies:
            raise KeyStoreUnavailable("no key store answers")
        try:
            key = self._agreed(name, copies)
        except KeyShredded:
            times = [copy.record.shredded_ms for copy in copies if isinstance(copy.record, Tombstone)]
            return Standing(State.SHREDDED, min(times))
        except KeyDamaged:
            return Standing(State.DAMAGED)
        if key is None:
            return Standing(State.MISSING)
        self._heal_later(name, key, copies)
        return Standing(State.HELD)

    def rewrap(self, told: Callable[[int], None] = lambda _keys: None) -> Spread:
        """Wrap every key anew that is not under the ring's current key-encryption key.

        `told` hears how many copies were looked at since it was last called. Vaults in `pending` did not
        answer, or hold a copy that neither reads nor has a twin elsewhere.
        """
        done: list[str] = []
        pending: list[str] = []
        for vault in self._vaults:
            complete = True
            try:
                for name in vault.names():
                    complete = self._rewrap(vault, name) and complete
                    told(1)
            except VaultUnavailable:
                complete = False
            (done if complete else pending).append(vault.label)
        return Spread(tuple(done), tuple(pending))

    @contextmanager
    def no_new_keys(self) -> Iterator[None]:
        """Keep every process from creating keys while this is held; reading goes on.

        Raises:
            KeyStoreUnavailable: the deciding vault does not answer.
        """
        try:
            with self._decider().guard(exclusive=True):
                yield
        except VaultUnavailable as error:
            raise KeyStoreUnavailable(str(error)) from error

    def _join(self) -> str:
        sets: set[str] = set()
        for vault in self._vaults:
            identity = identity_of(vault)
            if identity is not None:
                sets.add(identity.set_id)
                self._ordinals[vault] = identity.ordinal
        if not sets:
            raise KeysRefused(
                "no key store answers or is initialised: run `dgis keys init`, or mount its disk"
            )
        if len(sets) > 1 or len(set(self._ordinals.values())) < len(self._ordinals):
            raise KeysRefused("the configured key stores do not belong together")
        return sets.pop()

    def _is_ours(self, vault: Vault) -> bool:
        """Whether a vault is one of the set; one that did not answer at the start may have come back."""
        if vault not in self._ordinals:
            identity = identity_of(vault)
            if (
                identity is None
                or identity.set_id != self.site
                or identity.ordinal in self._ordinals.values()
            ):
                return False
            self._ordinals[vault] = identity.ordinal
        return True

    def _survey(self, name: str) -> list[Copy]:
        """Read the copy of every vault that answers, the deciding one first."""
        copies: list[Copy] = []
        ring = self._ring()
        for vault in self._vaults:
            try:
                if not self._is_ours(vault):
                    continue
                content = vault.read(name)
            except VaultUnavailable as error:
                _log.warning("key_store_unavailable", reason=str(error))
                continue
            copies.append(read_copy(vault, name, content, ring))
        return sorted(copies, key=lambda copy: self._ordinals[copy.vault])

    def _agreed(self, name: str, copies: Iterable[Copy]) -> PatientKey | None:
        """Return the one key the copies hold, None where no vault has a file."""
        copies = tuple(copies)
        tombstone = next((copy for copy in copies if isinstance(copy.record, Tombstone)), None)
        if tombstone is not None:
            assert tombstone.content is not None
            self._bury(name, tombstone.content, [copy.vault for copy in copies])
            raise KeyShredded("the patient's key was destroyed")
        keys = {copy.key.secret: copy.key for copy in copies if copy.key is not None}
        if len(keys) > 1:
            raise KeyDamaged("the key stores hold different keys for one patient; none was changed")
        if not keys and any(copy.content is not None for copy in copies):
            raise KeyDamaged("no key store holds a readable copy of the patient's key")
        return next(iter(keys.values()), None)

    def _create(self, name: str, copies: Sequence[Copy]) -> None:
        """Try to make the key in the deciding vault; whoever loses finds the winner's on the next survey."""
        decider = copies[0].vault
        if self._ordinals[decider] != 0:
            raise KeyStoreUnavailable("the key store that decides about new keys does not answer")
        try:
            # The lock keeps the wrapping key from being retired between reading it and writing under it.
            with decider.guard(exclusive=False):
                key = PatientKey(name, secrets.token_bytes(SECRET_BYTES))
                decider.swap(name, None, wrap(key, self._ring()).encode())
        except VaultUnavailable as error:
            raise KeyStoreUnavailable(str(error)) from error

    def _heal_later(self, name: str, key: PatientKey, copies: Sequence[Copy]) -> None:
        """Write missing copies where that can be done now; the key is read for opening either way."""
        try:
            self._heal(name, key, copies)
        except KeyStoreUnavailable:
            _log.warning("key_copy_not_healed")

    def _heal(self, name: str, key: PatientKey, copies: Sequence[Copy]) -> bool:
        """Write the key where a copy is missing or damaged; False where another process was faster."""
        lacking = [copy for copy in copies if copy.key is None]
        if not lacking:
            return True
        try:
            # The lock keeps the key under which the copy is wrapped from being retired before it is written.
            with self._decider().guard(exclusive=False):
                content = self._good_copy(key, copies)
                return all(copy.vault.swap(name, copy.content, content) for copy in lacking)
        except VaultUnavailable as error:
            raise KeyStoreUnavailable(str(error)) from error

    def _good_copy(self, key: PatientKey, copies: Iterable[Copy]) -> bytes:
        """Return a copy that opens now: the same file as in another vault, unless its wrapping key went."""
        ring = self._ring()
        for copy in copies:
            if (
                copy.content
                and isinstance(copy.record, Wrapped)
                and copy.key
                and ring.find(copy.record.kek_id)
            ):
                return copy.content
        return wrap(key, ring).encode()

    def _decider(self) -> Vault:
        decider = self._by_ordinal(self._vaults)[0]
        if self._ordinals.get(decider) != 0:
            raise VaultUnavailable("the key store that decides does not answer")
        return decider

    def _settle(self, copies: Iterable[Copy]) -> None:
        try:
            for copy in copies:
                copy.vault.settle()
        except VaultUnavailable as error:
            raise KeyStoreUnavailable(str(error)) from error

    def _bury(self, name: str, tombstone: bytes, vaults: Iterable[Vault]) -> Spread:
        done: list[str] = []
        pending: list[str] = []
        for vault in vaults:
            (done if bury_in(vault, name, tombstone) else pending).append(vault.label)
        return Spread(tuple(done), tuple(pending))

    def _rewrap(self, vault: Vault, name: str) -> bool:
        for _ in range(MOST_TURNS):
            ring = self._ring()
            copy = read_copy(vault, name, vault.read(name), ring)
            if isinstance(copy.record, Tombstone) or copy.content is None:
                return True
            if isinstance(copy.record, Wrapped) and copy.record.kek_id == ring.current.kek_id and copy.key:
                return True
            try:
                key = copy.key or self.get(name)
            except (KeyDamaged, KeyMissing):
                return False
            except KeyShredded:
                return True
            if vault.swap(name, copy.content, wrap(key, ring).encode()):
                return True
        return False

    def _by_ordinal(self, vaults: Iterable[Vault]) -> list[Vault]:
        return sorted(vaults, key=lambda vault: self._ordinals.get(vault, len(self._vaults)))
