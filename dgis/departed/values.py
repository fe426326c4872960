"""The words of what departed, and the small object on the nodes that says so."""

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from storage_nodes.names import ObjectName

PREFIX: Final = "departed/"
_NAME: Final = re.compile(r"departed/([a-z]+)/([a-z0-9.-]{1,128})(?:_([a-z0-9.-]{1,64}))?")


class Why(StrEnum):
    """What became of an instance of a part, or of the part."""

    WITHDRAWN = "withdrawn"  # by a reviewer: its published form is shown to nobody, its original stays
    REPLACED = "replaced"  # other bytes are the instance since
    REMOVED = "removed"  # by retention: nothing of it is left


@dataclass(frozen=True, slots=True)
class Departed:
    """One instance of one part, or all of it (`instance_key` empty), and when it went, epoch milliseconds."""

    record_key: str
    instance_key: str
    why: Why
    at_ms: int

    @property
    def name(self) -> ObjectName:
        """What it is called on every node."""
        whose = f"{self.record_key}_{self.instance_key}" if self.instance_key else self.record_key
        return ObjectName(f"{PREFIX}{self.why}/{whose}")

    @property
    def body(self) -> bytes:
        """What lies there; equal for equal values."""
        return json.dumps({"version": 1, "at_ms": self.at_ms}, sort_keys=True).encode()

    @property
    def sha256(self) -> bytes:
        """Digest of the body."""
        return hashlib.sha256(self.body).digest()

    @classmethod
    def parse(cls, name: str, at_ms: int) -> Self | None:
        """Return what a name says; None for one that a later version gave."""
        found = _NAME.fullmatch(name)
        if found is None or found[1] not in set(Why):
            return None
        return cls(found[2], found[3] or "", Why(found[1]), at_ms)
