"""The body of an object that is read from its copies, piece by piece."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol, overload

from storage_nodes.body import STEP_BYTES
from storage_nodes.node import Buffer


class _Source(Protocol):
    @property
    def size(self) -> int: ...

    def read(self, start: int, length: int) -> Buffer: ...


class SourceBody(Sequence[Buffer]):
    """Read each time it is gone through; nothing is verified here, but where it is put."""

    def __init__(self, source: _Source, step_bytes: int = STEP_BYTES) -> None:
        self._source = source
        self._starts: Final = range(0, source.size, step_bytes)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Buffer]:
        return map(self._read, self._starts)

    @overload
    def __getitem__(self, index: int) -> Buffer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Buffer]: ...
    def __getitem__(self, index: int | slice) -> Buffer | Sequence[Buffer]:
        """Read one piece, or several."""
        if isinstance(index, slice):
            return [self._read(start) for start in self._starts[index]]
        return self._read(self._starts[index])

    def _read(self, start: int) -> Buffer:
        return self._source.read(start, self._starts.step)
