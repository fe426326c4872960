import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar, cast

from storage_nodes.body import size_of
from storage_nodes.errors import NodeUnavailable
from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Node, ObjectStat
from storage_nodes.wrappers.through import Through

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one node may take of this process.

    Attributes:
        concurrent: calls under way at once. Calls that hang count: a node that hangs costs this many
            threads and no more, and then fails at once.
        call_seconds: allowed for any call, and for a place among the concurrent ones.
        bytes_per_second: allowed besides: a second for each so many bytes.
    """

    concurrent: int = 16
    call_seconds: float = 30.0
    bytes_per_second: int = 1 << 20


_USUAL: Final = Limits()


class Limited(Through):
    """A node whose calls end in time, one way or the other, and never crowd.

    A call that is late goes on in a thread of its own, a daemon that holds up nothing: a put may still
    succeed after NodeUnavailable was raised, which is what the port says of that error. Listings are not
    limited: they end page by page under the node's own timeouts.
    """

    def __init__(self, inner: Node, limits: Limits = _USUAL) -> None:
        super().__init__(inner)
        self._limits = limits
        self._places = threading.BoundedSemaphore(limits.concurrent)

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Put in time."""
        self._within(size_of(body), partial(self._inner.put, name, body, sha256))

    def get(self, name: ObjectName) -> bytes:
        """Get in time; how large the object is must be asked first."""
        size = self.stat(name).size
        return self._within(size, partial(self._inner.get, name))

    def get_range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Get a range in time."""
        return self._within(length, partial(self._inner.get_range, name, start, length))

    def stat(self, name: ObjectName) -> ObjectStat:
        """Stat in time."""
        return self._within(0, partial(self._inner.stat, name))

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Not limited."""
        return self._inner.list(prefix)

    def delete(self, name: ObjectName) -> None:
        """Delete in time."""
        self._within(0, partial(self._inner.delete, name))

    def _within(self, size_bytes: int, call: Callable[[], _Result]) -> _Result:
        if not self._places.acquire(timeout=self._limits.call_seconds):
            raise NodeUnavailable(self.name, "too many calls to it are under way")
        seconds = self._limits.call_seconds + size_bytes / self._limits.bytes_per_second
        answer: queue.SimpleQueue[tuple[bool, object]] = queue.SimpleQueue()
        threading.Thread(
            target=self._call, args=(call, answer), name=f"node-{self.name}", daemon=True
        ).start()
        try:
            worked, outcome = answer.get(timeout=seconds)
        except queue.Empty:
            raise NodeUnavailable(self.name, f"has not answered for {seconds:.0f} s") from None
        if not worked:
            raise cast("BaseException", outcome)
        return cast("_Result", outcome)

    def _call(self, call: Callable[[], object], answer: "queue.SimpleQueue[tuple[bool, object]]") -> None:
        try:
            answer.put((True, call()))
        except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
            answer.put((False, error))
        finally:
            self._places.release()
