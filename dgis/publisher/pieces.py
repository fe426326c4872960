"""Bytes in several pieces, seen as one: payloads made when they are asked for, objects not yet put."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import overload

from deid.elements import Buffer


class LazyPayloads(Sequence[memoryview]):
    """The payloads of an instance, each made when it is taken: none is held longer than it is needed."""

    def __init__(self, count: int, make: Callable[[int], Buffer]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> memoryview: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[memoryview]: ...
    def __getitem__(self, index: int | slice) -> memoryview | Sequence[memoryview]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        return memoryview(self._make(index))

    def __iter__(self) -> Iterator[memoryview]:
        return map(self.__getitem__, range(self._count))


class PiecesSource:
    """An object that is still in memory, readable by ranges as if it lay on a node."""

    def __init__(self, body: Sequence[Buffer]) -> None:
        self._views = [memoryview(piece).cast("B") for piece in body if len(piece)]
        self._ends = list(accumulate(map(len, self._views)))

    @property
    def size(self) -> int:
        """Length of the object in bytes."""
        return self._ends[-1] if self._ends else 0

    def read(self, start: int, length: int) -> bytes:
        """Return bytes from `start`; fewer only where the object ends."""
        parts: list[memoryview] = []
        index = bisect_right(self._ends, start)
        while length > 0 and index < len(self._views):
            view = self._views[index]
            offset = start - (self._ends[index] - len(view))
            part = view[offset : offset + length]
            parts.append(part)
            start += len(part)
            length -= len(part)
            index += 1
        return b"".join(parts)
