import base64
import json
from dataclasses import dataclass, field

from deid.keys.kek import KekRing
from deid.keys.values import KeyDamaged, PatientKey

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A patient key as a store keeps it: encrypted under the key-encryption key named."""

    name: str
    kek_id: str
    wrapped: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Write the file: JSON, so that an operator can see what a store holds."""
        wrapped = base64.b64encode(self.wrapped).decode("ascii")
        return _dump({"state": "key", "name": self.name, "kek": self.kek_id, "wrapped": wrapped})

    def unwrap(self, ring: KekRing) -> PatientKey:
        """Return the key.

        Raises:
            KeyDamaged: damaged, or wrapped under a key that is not in the ring.
        """
        kek = ring.find(self.kek_id)
        if kek is None:
            raise KeyDamaged("a patient key is wrapped under a key-encryption key that is not here")
        return kek.unwrap(self.name, self.wrapped)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stays of a key that was destroyed; it never goes away, so no old copy can come back."""

    name: str
    shredded_ms: int

    def encode(self) -> bytes:
        """Write the file."""
        return _dump({"state": "shredded", "name": self.name, "shredded_ms": self.shredded_ms})


def wrap(key: PatientKey, ring: KekRing) -> Wrapped:
    """Return the key under the ring's current key-encryption key."""
    return Wrapped(key.name, ring.current.kek_id, ring.current.wrap(key))


def parse_record(name: str, raw: bytes) -> Wrapped | Tombstone:
    """Read a stored file.

    Raises:
        KeyDamaged: not a file of this format and name.
    """
    try:
        found = json.loads(raw)
        if found["version"] != _VERSION or found["name"] != name:
            raise KeyDamaged("a key file has an unknown version or another name")
        if found["state"] == "shredded":
            return Tombstone(name, int(found["shredded_ms"]))
        if found["state"] == "key":
            return Wrapped(name, str(found["kek"]), base64.b64decode(found["wrapped"], validate=True))
    except (ValueError, KeyError, TypeError):
        pass
    raise KeyDamaged("a key file is damaged")


def _dump(fields: dict[str, str | int]) -> bytes:
    return json.dumps({"version": _VERSION, **fields}).encode("ascii") + b"\n"
