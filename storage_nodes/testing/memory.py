import hashlib
import threading
import time
from collections.abc import Iterator
from typing import Final

from storage_nodes.body import pieces
from storage_nodes.errors import DigestMismatch, NameTaken, ObjectDamaged, ObjectMissing
from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Capabilities, ObjectStat, check_range


class MemoryNode:
    """A node for tests: nothing is durable, everything is open to be looked at and damaged.

    Attributes:
        objects: what lies there; a test may change the bytes behind the node's back.
    """

    kind: Final = "memory"
    capabilities: Final = Capabilities(conditional_put=True)

    def __init__(self, name: str = "memory", site: str = "here") -> None:
        self.name: Final = name
        self.site: Final = site
        self.objects: dict[ObjectName, bytes] = {}
        self._lock = threading.Lock()

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Keep a copy."""
        data = b"".join(pieces(body))
        if hashlib.sha256(data).digest() != sha256:
            raise DigestMismatch(self.name, "what was put has another SHA-256 than was announced")
        with self._lock:
            if self.objects.setdefault(name, data) != data:
                raise NameTaken(self.name, "other bytes lie under this name")

    def get(self, name: ObjectName) -> bytes:
        """Return what lies there."""
        try:
            return self.objects[name]
        except KeyError:
            raise ObjectMissing(self.name, "no such object") from None

    def get_range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Return a part of what lies there."""
        check_range(start, length)
        data = self.get(name)[start : start + length]
        if len(data) != length:
            raise ObjectDamaged(self.name, f"the object ends {length - len(data)} bytes too early")
        return data

    def stat(self, name: ObjectName) -> ObjectStat:
        """Return the size; digests are not kept, as in a folder."""
        return ObjectStat(name, len(self.get(name)), None, time.time_ns() // 1_000_000)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Yield what lies there at the moment of the call."""
        return iter([self.stat(name) for name in sorted(self.objects) if name.startswith(prefix)])

    def delete(self, name: ObjectName) -> None:
        """Forget the object."""
        self.objects.pop(name, None)

    def clean_leftovers(self, older_than_seconds: float) -> int:  # noqa: ARG002 (the port's)
        """There are none."""
        return 0
