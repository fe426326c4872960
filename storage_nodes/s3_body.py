import io
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from storage_nodes.node import Buffer

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class BodyReader(io.RawIOBase):
    """Several buffers as one file to read, so that they need not be joined to be sent."""

    def __init__(self, buffers: Iterable[Buffer]) -> None:
        super().__init__()
        self._views = [view for buffer in buffers if (view := memoryview(buffer).cast("B")).nbytes]
        self._starts = [0, *accumulate(view.nbytes for view in self._views)]
        self._end = self._starts[-1]
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes: a body is signed first and sent afterwards."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as in any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._at

    def readinto(self, target: "WriteableBuffer", /) -> int:
        """Copy from the buffer under the position; less than asked for at its end."""
        if self._at >= self._end:
            return 0
        number = bisect_right(self._starts, self._at) - 1
        offset = self._at - self._starts[number]
        into = memoryview(target).cast("B")
        part = self._views[number][offset : offset + into.nbytes]
        into[: part.nbytes] = part
        self._at += part.nbytes
        return part.nbytes


def cut(body: Sequence[Buffer], part_bytes: int) -> Iterator[list[memoryview]]:
    """Cut a body into parts of exactly `part_bytes`, the last one shorter; at most one part is held."""
    part: list[memoryview] = []
    room = part_bytes
    for piece in body:
        rest = memoryview(piece).cast("B")
        while rest.nbytes >= room:
            part.append(rest[:room])
            yield part
            rest, part, room = rest[room:], [], part_bytes
        if rest.nbytes:
            part.append(rest)
            room -= rest.nbytes
    if part:
        yield part
