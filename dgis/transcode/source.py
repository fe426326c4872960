import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deid.elements import Buffer, WalkError

_STEP_BYTES = 1 << 20


@dataclass(slots=True)
class Bound:
    """How much may be inflated: what is read of a header raises it by the image that is described."""

    limit_bytes: int
    most_bytes: int

    def raise_by(self, size: int) -> None:
        """Allow so many bytes more, never above `most_bytes`."""
        self.limit_bytes = min(self.limit_bytes + size, self.most_bytes)


class Source:
    """Reads a data set that comes in pieces, each of which is valid only until the next is asked for.

    `length` is in bytes, None where it is not known; `bound` that of what is inflated on the way.
    """

    def __init__(
        self, pieces: Iterable[Buffer], length: int | None = None, bound: Bound | None = None
    ) -> None:
        self.length = length
        self._bound = bound
        self._pieces = iter(pieces)
        self._at_hand = memoryview(b"")
        self.position = 0  # bytes taken

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes without taking them; fewer at the end."""
        while len(self._at_hand) < size:
            rest = bytes(self._at_hand)
            if not self._next():
                self._at_hand = memoryview(rest)
                break
            if rest:
                self._at_hand = memoryview(rest + bytes(self._at_hand))
        return bytes(self._at_hand[:size])

    def read(self, size: int) -> bytes:
        """Take exactly `size` bytes; a length that lies costs no more memory than there are bytes.

        Raises:
            WalkError: it ends before.
        """
        if size <= len(self._at_hand):
            taken = bytes(self._at_hand[:size])
            self._at_hand = self._at_hand[size:]
            self.position += size
            return taken
        gathered = bytearray()
        for piece in self.pieces(size):
            gathered += piece
        return bytes(gathered)

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Take exactly `size` bytes in pieces, each valid until the next is asked for.

        Raises:
            WalkError: it ends before.
        """
        while size:
            if not self._at_hand and not self._next():
                raise WalkError(f"{size} bytes are missing at offset {self.position}")
            piece = self._at_hand[:size]
            self._at_hand = self._at_hand[len(piece) :]
            self.position += len(piece)
            size -= len(piece)
            yield piece

    def allow(self, size: int) -> None:
        """Let so many bytes more come than a header may have, where there is a bound."""
        if self._bound is not None:
            self._bound.raise_by(size)

    def ended(self) -> bool:
        """Whether all bytes were taken."""
        return not self._at_hand and not self._next()

    def _next(self) -> bool:
        for piece in self._pieces:
            if len(piece):
                self._at_hand = memoryview(piece)
                return True
        return False


def inflated(pieces: Iterable[Buffer], bound: Bound) -> Iterator[bytes]:
    """Inflate a deflated data set (PS3.5 A.5) piece by piece; bytes after the stream are left out.

    Raises:
        WalkError: the stream is damaged or cut, or inflates beyond what is allowed by then.
    """
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for piece in pieces:
        rest: Buffer = piece
        while len(rest) and not inflater.eof:
            out = _inflate(inflater, rest)
            rest = inflater.unconsumed_tail
            size += len(out)
            if size > bound.limit_bytes:
                raise WalkError(f"inflates beyond {bound.limit_bytes} bytes")
            yield out
    # A full step with no input left may hide more output behind it.
    while not inflater.eof and (out := _inflate(inflater, b"")):
        size += len(out)
        if size > bound.limit_bytes:
            raise WalkError(f"inflates beyond {bound.limit_bytes} bytes")
        yield out
    if not inflater.eof:
        raise WalkError("deflate stream without end")


def _inflate(inflater: "zlib._Decompress", rest: Buffer) -> bytes:
    try:
        return inflater.decompress(rest, _STEP_BYTES)
    except zlib.error as error:
        raise WalkError("damaged deflate stream") from error
