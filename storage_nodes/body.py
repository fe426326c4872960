from collections.abc import Iterator, Sequence
from typing import Final, overload

from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Buffer, Node

STEP_BYTES: Final = 8 << 20
"""How much of an object is in memory at a time when it is hashed, or copied from node to node."""


class RemoteBody(Sequence[Buffer]):
    """The body of an object on another node, fetched piece by piece each time it is gone through.

    Put on a second node it is a copy from node to node with STEP_BYTES in memory. Nothing is verified here:
    the node that it is put on compares the digest, as for every body.
    """

    def __init__(self, node: Node, name: ObjectName, size_bytes: int, step_bytes: int = STEP_BYTES) -> None:
        self._node = node
        self._name = name
        self._starts = range(0, size_bytes, step_bytes)
        self.size_bytes: Final = size_bytes

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Buffer]:
        return map(self._fetch, self._starts)

    @overload
    def __getitem__(self, index: int) -> Buffer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Buffer]: ...
    def __getitem__(self, index: int | slice) -> Buffer | Sequence[Buffer]:
        """Fetch one piece, or several."""
        if isinstance(index, slice):
            return [self._fetch(start) for start in self._starts[index]]
        return self._fetch(self._starts[index])

    def _fetch(self, start: int) -> Buffer:
        return self._node.get_range(self._name, start, min(self._starts.step, self.size_bytes - start))


def pieces(body: Body) -> Sequence[Buffer]:
    """Return the body as pieces; a single buffer is one piece."""
    return (body,) if isinstance(body, bytes | bytearray | memoryview) else body


def size_of(body: Body) -> int:
    """Return the length of a body, bytes; a remote one is not fetched for it."""
    if isinstance(body, RemoteBody):
        return body.size_bytes
    return sum(memoryview(piece).nbytes for piece in pieces(body))
