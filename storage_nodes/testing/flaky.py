import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from storage_nodes.body import pieces
from storage_nodes.errors import NodeError, NodeFull, NodeRefused, NodeUnavailable, ObjectMissing
from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Node, ObjectStat
from storage_nodes.wrappers.through import Through

_RAISED: Final[dict[str, type[NodeError]]] = {
    "down": NodeUnavailable,
    "refused": NodeRefused,
    "full": NodeFull,
    "missing": ObjectMissing,
}
_PLAYED: Final = {"lie", "short", "half", "long", "lost", "hang"}
_WORD: Final = re.compile(r"(put|get|get_range|stat|list|delete|\*)(?::(\d+)(\+?))?=([a-z]+)")


@dataclass(frozen=True, slots=True)
class Fault:
    """One word of a script: which calls of which method go wrong, and how."""

    method: str
    first: int
    last: int | None
    what: str

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read `method=what`, `method:n=what` (the n-th call) or `method:n+=what` (from the n-th call on)."""
        found = _WORD.fullmatch(word)
        if found is None or found[4] not in _RAISED.keys() | _PLAYED:
            raise ValueError(f"no fault is written {word!r}")
        first = int(found[2] or 1)
        return cls(found[1], first, None if found[3] or not found[2] else first, found[4])

    def strikes(self, method: str, count: int) -> bool:
        """Tell whether the `count`-th call of a method goes wrong."""
        in_time = self.first <= count and (self.last is None or count <= self.last)
        return in_time and self.method in {method, "*"}


class FlakyNode(Through):
    """A node that goes wrong by script: `FlakyNode(node, "put:2=full get_range=lie")`.

    down, refused, full, missing: the call fails with that error and does nothing. lie: one bit of what is
    returned, or stored, is flipped. short: the last byte is left out; half: the second half, as when a
    connection is dropped; long: a byte more. lost: put or delete says that it was done and does nothing.
    hang: the call waits until `release()`. A `*` stands for every method; a script may be replaced at any
    time.
    """

    def __init__(self, inner: Node, script: str = "") -> None:
        super().__init__(inner)
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.script(script)

    def script(self, script: str) -> None:
        """Replace the faults, and count calls anew."""
        faults = [Fault.parse(word) for word in script.split()]
        with self._lock:
            self._faults = faults
            self._calls.clear()

    def release(self) -> None:
        """Let every call that hangs, now or later, go on."""
        self._released.set()

    def calls(self, method: str) -> int:
        """Return how often a method was called since the script was set."""
        with self._lock:
            return self._calls[method]

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Put, or what the script says."""
        what = self._next("put")
        if what == "lost":
            return
        if what in {"lie", "short", "half", "long"}:
            self._put_wrong(name, _damaged(b"".join(pieces(body)), what))
            return
        self._inner.put(name, body, sha256)

    def get(self, name: ObjectName) -> bytes:
        """Get, or what the script says."""
        what = self._next("get")
        return _damaged(self._inner.get(name), what)

    def get_range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Get a range, or what the script says."""
        what = self._next("get_range")
        return _damaged(self._inner.get_range(name, start, length), what)

    def stat(self, name: ObjectName) -> ObjectStat:
        """Stat, or what the script says."""
        self._next("stat")
        return self._inner.stat(name)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """List, or fail in the middle: after the first object."""
        found = self._inner.list(prefix)
        try:
            self._next("list")
        except NodeError:
            yield from _first(found)
            raise
        yield from found

    def delete(self, name: ObjectName) -> None:
        """Delete, or what the script says."""
        if self._next("delete") != "lost":
            self._inner.delete(name)

    def _put_wrong(self, name: ObjectName, data: bytes) -> None:
        self._inner.put(name, data, hashlib.sha256(data).digest())

    def _next(self, method: str) -> str:
        with self._lock:
            self._calls[method] += 1
            count = self._calls[method]
            what = next((fault.what for fault in self._faults if fault.strikes(method, count)), "")
        if what == "hang":
            self._released.wait()
        if what in _RAISED:
            raise _RAISED[what](self.name, f"scripted to be {what}")
        return what


def _damaged(data: bytes, what: str) -> bytes:
    if what == "lie" and data:
        return bytes([data[0] ^ 1]) + data[1:]
    return {"short": data[:-1], "half": data[: len(data) // 2], "long": data + b"+"}.get(what, data)


def _first(found: Iterator[ObjectStat]) -> Iterator[ObjectStat]:
    for stat in found:
        yield stat
        return
