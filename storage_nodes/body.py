from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, overload

from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Buffer, Node

STEP_BYTES: Final = 8 << 20
"""How much of an object is in memory at a time when it is hashed, or copied from node to node."""


class SteppedBody(Sequence[Buffer]):
    """The body of an object, read piece by piece each time it is gone through.

    Nothing is verified here: the node that it is put on compares the digest, as for every body.

    Args:
        read: gives bytes from a start on, of a length.
        size_bytes: of the whole.
        step_bytes: of a piece; so much is in memory.
    """

    def __init__(
        self, read: Callable[[int, int], Buffer], size_bytes: int, step_bytes: int = STEP_BYTES
    ) -> None:
        self._read = read
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
        """Read one piece, or several."""
        if isinstance(index, slice):
            return [self._fetch(start) for start in self._starts[index]]
        return self._fetch(self._starts[index])

    def _fetch(self, start: int) -> Buffer:
        return self._read(start, min(self._starts.step, self.size_bytes - start))


class RemoteBody(SteppedBody):
    """The body of an object on another node; put on a second one it is a copy from node to node."""

    def __init__(self, node: Node, name: ObjectName, size_bytes: int, step_bytes: int = STEP_BYTES) -> None:
        super().__init__(partial(node.get_range, name), size_bytes, step_bytes)


def pieces(body: Body) -> Sequence[Buffer]:
    """Return the body as pieces; a single buffer is one piece."""
    return (body,) if isinstance(body, bytes | bytearray | memoryview) else body


def size_of(body: Body) -> int:
    """Return the length of a body, bytes; a remote one is not fetched for it."""
    if isinstance(body, SteppedBody):
        return body.size_bytes
    return sum(memoryview(piece).nbytes for piece in pieces(body))
