"""One frame of an instance, and of its header what tells how to show it: no more is given to a renderer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from deid.deflate import is_deflated
from deid.elements import Buffer, Encoding, WalkError, detect_encoding, encoding_of
from dgis.rendering.errors import NoFrameError, NoPictureError
from dgis.rendering.picture import FLOATS
from dgis.transcode.dataset import Rewriter
from dgis.transcode.fragments import codestreams
from dgis.transcode.level import (
    ALLOCATED,
    COLUMNS,
    FRAMES,
    PHOTOMETRIC,
    ROWS,
    SAMPLES,
    Level,
)
from dgis.transcode.limits import Limits
from dgis.transcode.source import Bound, Source, inflated
from dgis.transcode.syntaxes import CODECS, NATIVE, Codec
from dgis.transcode.values import ANY_PIXELS, PIXELS

_FIRST_BYTES = 8
_BITS_IN_BYTE = 8
_COLOURS = 3
_SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_IMAGE_GROUP = 0x0028
_SPACINGS = frozenset({0x00181164, 0x00182010})


class Instance(Protocol):
    """What is read: the data set of one instance, in pieces."""

    @property
    def transfer_syntax(self) -> str:
        """As it lies."""

    @property
    def length(self) -> int | None:
        """Bytes of the data set, where they are known."""

    def open(self) -> Iterable[Buffer]:
        """Yield it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it lies, behind the header elements that tell how it is shown (explicit little endian)."""

    header: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    codec: str | None
    first_bit: int = 0
    of: int = 1  # frames the instance has


def read_frame(instance: Instance, number: int, limits: Limits) -> Frame:
    """Return a frame, counted from 1; what lies behind it is not read.

    Raises:
        NoFrameError: the instance has none of that number.
        NoPictureError: frames of its transfer syntax are not taken apart here, or it is too large.
        WalkError: its bytes are no well-formed data set.
        Exception: whatever opening it raises.
    """
    syntax = instance.transfer_syntax
    if syntax not in NATIVE and syntax not in CODECS:
        raise NoPictureError("its transfer syntax is not one that pictures are made from")
    pieces: Iterable[Buffer] = instance.open()
    length, bound = instance.length, None
    if is_deflated(syntax):
        bound = Bound(limits.header_bytes, limits.inflated_bytes)
        pieces, length = inflated(pieces, bound), None
    source = Source(pieces, length, bound)
    encoding = detect_encoding(source.peek(_FIRST_BYTES), encoding_of(syntax))
    reader = _Reader(CODECS.get(syntax), number, limits)
    rewriter = Rewriter(source, encoding, Encoding.EXPLICIT_LE, reader.assemble, reader.encapsulated)
    for _piece in rewriter.pieces():
        pass
    return reader.frame()


class _Reader:
    """Takes a data set as it is written anew, and keeps the little that is wanted."""

    def __init__(self, codec: Codec | None, number: int, limits: Limits) -> None:
        self._codec = codec
        self._number = number
        self._limits = limits
        self._header = bytearray()
        self._found: tuple[bytes, str | None, int] | None = None
        self._frames = 1

    def frame(self) -> Frame:
        """Return what was found.

        Raises:
            NoFrameError: nothing was.
        """
        if self._found is None:
            raise NoFrameError("there are no pixels to show")
        payload, codec, first_bit = self._found
        return Frame(bytes(self._header), payload, codec, first_bit, self._frames)

    def assemble(self, written: Iterator[tuple[int, Iterator[Buffer]]], level: Level) -> Iterator[Buffer]:
        """Keep elements of the first level that tell how pixels are shown, and end with the frame."""
        if level.depth:
            for _tag, pieces in written:
                yield from pieces
            return
        for tag, pieces in written:
            if tag in ANY_PIXELS:
                self._take(tag, pieces, level)
                return
            wanted = tag >> 16 == _IMAGE_GROUP or tag in {_SHARED, _PER_FRAME} or tag in _SPACINGS
            for piece in pieces:
                if wanted:
                    self._header += piece
                    if len(self._header) > self._limits.header_bytes:
                        raise NoPictureError("more is said of the image than is read")
        yield from ()

    def encapsulated(self, source: Source, level: Level) -> Iterator[Buffer]:
        """Take the frame out of encapsulated pixels, at the first level; pass over others (icons)."""
        frames = max(level.number(FRAMES) or 1, 1)
        if self._codec is None:
            raise WalkError("encapsulated pixels in a transfer syntax that knows none")
        limit = self._limits.codestream_bytes
        if not level.depth:
            self._require(frames)
        for place, stream in enumerate(codestreams(source, self._codec, frames, limit), 1):
            if place == self._number and not level.depth:
                self._found = stream, self._codec.value, 0
                return
        yield from ()

    def _take(self, tag: int, pieces: Iterator[Buffer], level: Level) -> None:
        head = bytes(next(pieces, b""))
        if self._found is not None:
            return  # they were encapsulated
        if not head:
            raise NoFrameError("there are no pixels to show")
        frames = max(level.number(FRAMES) or 1, 1)
        self._require(frames)
        bits = _frame_bits(level, frames, int.from_bytes(head[8:12], "little"))
        if not bits:
            raise NoPictureError("the header does not describe an image")
        if bits > self._limits.frame_bytes * _BITS_IN_BYTE:
            raise NoPictureError("a frame is too large to be shown")
        start, first_bit = divmod(bits * (self._number - 1), _BITS_IN_BYTE)
        stop = -(-bits * self._number // _BITS_IN_BYTE)
        payload = _between(pieces, start, stop)
        self._found = payload, None if tag == PIXELS else FLOATS, first_bit

    def _require(self, frames: int) -> None:
        self._frames = frames
        if not 1 <= self._number <= frames:
            raise NoFrameError(f"it has {frames} frames")


def _between(pieces: Iterator[Buffer], start: int, stop: int) -> bytes:
    """Return bytes `start` to `stop` of a value; fewer where it ends before."""
    taken = bytearray()
    position = 0
    for piece in pieces:
        size = len(piece)
        taken += piece[max(start - position, 0) : max(stop - position, 0)]
        position += size
        if position >= stop:
            break
    return bytes(taken)


def _frame_bits(level: Level, frames: int, value_bytes: int) -> int:
    """Return the bits of a native frame; chroma is halved only where the value is that short."""
    pixels = (level.number(ROWS) or 0) * (level.number(COLUMNS) or 0)
    samples, allocated = level.number(SAMPLES) or 1, level.number(ALLOCATED) or 0
    full = pixels * samples * allocated
    halved = samples == _COLOURS and level.text(PHOTOMETRIC) in _SUBSAMPLED
    return pixels * 2 * allocated if halved and full * frames > value_bytes * _BITS_IN_BYTE else full
