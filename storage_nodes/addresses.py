import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from storage_nodes.names import ObjectName, RecordKey


class Kind(StrEnum):
    """What an object is; records and sealed companions lie on nodes with credentials of their own."""

    RECORD = "record"
    SEALED = "sealed"


_NAME: Final = re.compile(r"(record|sealed)/([0-9a-f]{2})/([a-z0-9.-]{1,128})_([0-9a-f]{64})")
_FOLDER: Final = slice(0, 2)
"""Two digits of the digest: 256 folders, so that no single one grows without bound."""


@dataclass(frozen=True, slots=True)
class Address:
    """What the name of an object says: equal bytes have one name, other bytes have another.

    So putting is idempotent, a copy can be checked by whoever can list the node, and the replica index can
    be made anew from the names alone. The underscore occurs in no record key.
    """

    kind: Kind
    key: RecordKey
    sha256: bytes

    @property
    def name(self) -> ObjectName:
        """Where the object lies on every node."""
        digest = self.sha256.hex()
        return ObjectName(f"{self.kind}/{digest[_FOLDER]}/{self.key}_{digest}")

    @classmethod
    def parse(cls, name: ObjectName) -> Self | None:
        """Return what the name says, or None for an object that the gateway did not put there."""
        found = _NAME.fullmatch(name)
        if found is None or not found[4].startswith(found[2]) or found[3].startswith("."):
            return None
        return cls(Kind(found[1]), RecordKey(found[3]), bytes.fromhex(found[4]))
