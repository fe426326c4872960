import hmac
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from deid.keys.values import SECRET_BYTES, KeyDamaged, PatientKey

_NONCE_BYTES = 12
_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Kek:
    """A key-encryption key of the site: 32 bytes that wrap patient keys and nothing else."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise ValueError("a key-encryption key is 32 bytes")

    @property
    def kek_id(self) -> str:
        """A name that follows from the key and tells nothing of it."""
        return hmac.digest(self.secret, b"dgis/keys/v1/kek-id", "sha256")[:_ID_BYTES].hex()

    def wrap(self, key: PatientKey) -> bytes:
        """Return the patient key encrypted (AES-256-GCM), bound to its name and to this key."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self.secret).encrypt(nonce, key.secret, self._binding(key.name))

    def unwrap(self, name: str, wrapped: bytes) -> PatientKey:
        """Return the patient key of this name.

        Raises:
            KeyDamaged: wrapped under another key, for another name, or changed since.
        """
        try:
            secret = AESGCM(self.secret).decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], self._binding(name)
            )
            return PatientKey(name, secret)
        except (InvalidTag, ValueError):
            raise KeyDamaged("a stored patient key is damaged") from None

    def _binding(self, name: str) -> bytes:
        return b"\0".join((b"dgis/keys/v1", name.encode("ascii"), self.kek_id.encode("ascii")))


@dataclass(frozen=True, slots=True)
class KekRing:
    """The key-encryption keys of a site: the first wraps, all unwrap (a rotation is under way with two)."""

    keks: tuple[Kek, ...]

    def __post_init__(self) -> None:
        if not self.keks:
            raise ValueError("a ring has at least one key")

    @property
    def current(self) -> Kek:
        """The key that wraps."""
        return self.keks[0]

    def find(self, kek_id: str) -> Kek | None:
        """Return the key of that id, if it is here."""
        return next((kek for kek in self.keks if kek.kek_id == kek_id), None)
