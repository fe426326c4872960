import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from storage_nodes.body import size_of
from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Node, ObjectStat
from storage_nodes.wrappers.through import Through


@dataclass(frozen=True, slots=True)
class Counts:
    """What passed a node so far.

    Attributes:
        calls: per method of the port.
        bytes_put: of bodies that were put with success, also where equal bytes lay there already.
        bytes_got: of objects and ranges that were returned.
    """

    calls: Counter[str] = field(default_factory=Counter)
    bytes_put: int = 0
    bytes_got: int = 0

    def __sub__(self, earlier: "Counts") -> "Counts":
        """Return what passed since `earlier`."""
        return Counts(
            self.calls - earlier.calls,
            self.bytes_put - earlier.bytes_put,
            self.bytes_got - earlier.bytes_got,
        )


class Counted(Through):
    """A node that counts calls and bytes; outermost it counts what is asked, innermost what is done."""

    def __init__(self, inner: Node) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        """The figures as they stand; they do not change afterwards."""
        with self._lock:
            return self._counts

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Count the call, and the bytes once they are there."""
        self._add("put")
        self._inner.put(name, body, sha256)
        self._add(bytes_put=size_of(body))

    def get(self, name: ObjectName) -> bytes:
        """Count the call and the bytes."""
        self._add("get")
        data = self._inner.get(name)
        self._add(bytes_got=len(data))
        return data

    def get_range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Count the call and the bytes."""
        self._add("get_range")
        data = self._inner.get_range(name, start, length)
        self._add(bytes_got=len(data))
        return data

    def stat(self, name: ObjectName) -> ObjectStat:
        """Count the call."""
        self._add("stat")
        return self._inner.stat(name)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Count the call."""
        self._add("list")
        return self._inner.list(prefix)

    def delete(self, name: ObjectName) -> None:
        """Count the call."""
        self._add("delete")
        self._inner.delete(name)

    def _add(self, call: str | None = None, bytes_put: int = 0, bytes_got: int = 0) -> None:
        with self._lock:
            now = self._counts
            calls = now.calls + Counter([call] if call else [])
            self._counts = Counts(calls, now.bytes_put + bytes_put, now.bytes_got + bytes_got)
