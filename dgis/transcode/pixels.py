"""From an encapsulated pixel element to a native one, and what that changes in the header around it."""

from collections.abc import Callable, Iterator
from typing import IO

from deid.elements import Buffer, Encoding
from dgis.transcode.bits import BitJoiner
from dgis.transcode.errors import DamagedPixelsError, TranscodeError
from dgis.transcode.fragments import codestreams
from dgis.transcode.job import Job, native_cell
from dgis.transcode.level import (
    ALLOCATED,
    COLUMNS,
    FRAMES,
    PHOTOMETRIC,
    PLANAR,
    REPRESENTATION,
    ROWS,
    SAMPLES,
    STORED,
    Level,
)
from dgis.transcode.limits import Limits
from dgis.transcode.source import Source
from dgis.transcode.spool import read_back
from dgis.transcode.syntaxes import Codec
from dgis.transcode.values import PIXELS, header

# Extended Offset Table, its lengths, Encapsulated Pixel Data Value Total Length (PS3.3 C.7.6.3).
_OFFSET_TABLES = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003})
_LONGEST_VALUE_BYTES = 0xFFFFFFFE
_BITS_IN_BYTE = 8

Decode = Callable[[Job, bytes], Iterator[bytes]]


class NativePixels:
    """Decodes the encapsulated pixels of a data set, at every level of it.

    Args:
        codec: of the transfer syntax.
        target: how the elements are written.
        limits: what may be held.
        decode: turns one codestream into one native frame.
        spool: opens a place for the native frames of one element.
    """

    def __init__(
        self,
        codec: Codec,
        target: Encoding,
        limits: Limits,
        decode: Decode,
        spool: Callable[[], IO[bytes]],
    ) -> None:
        self._codec = codec
        self._target = target
        self._limits = limits
        self._decode = decode
        self._spool = spool
        self._decoded: set[int] = set()  # levels whose pixels were encapsulated
        self._held_bytes = 0

    def element(self, source: Source, level: Level) -> Iterator[Buffer]:
        """Yield the native pixel element; its first piece comes when all frames are decoded.

        Raises:
            DamagedPixelsError: a frame cannot be decoded, or the frames are not those the header announces.
            TranscodeError: they are larger than allowed, or than an element can be.
            WalkError: the element is no list of fragments.
        """
        job = self.job(level)
        frames = max(level.number(FRAMES) or 1, 1)
        size = (job.frame_bits * frames + _BITS_IN_BYTE - 1) // _BITS_IN_BYTE
        if job.frame_bytes > self._limits.frame_bytes or size > _LONGEST_VALUE_BYTES:
            raise TranscodeError(f"{frames} native frames of {job.frame_bytes} bytes are too large")
        self._decoded.add(id(level))
        with self._spool() as file:
            joiner = BitJoiner(job.frame_bits)
            for stream in codestreams(source, self._codec, frames, self._limits.codestream_bytes):
                for piece in joiner.frame(self._decode(job, stream)):
                    file.write(piece)
            file.write(joiner.rest())
            if file.tell() != size:
                raise DamagedPixelsError("the frames do not add up")
            vr = "OB" if job.bits_allocated <= _BITS_IN_BYTE else "OW"  # PS3.5 A.2
            yield header(PIXELS, vr, size + size % 2, self._target)
            yield from read_back(file)
            yield b"\0" * (size % 2)

    def assemble(self, written: Iterator[tuple[int, Iterator[Buffer]]], level: Level) -> Iterator[Buffer]:
        """Put a level together; what stands before the pixels waits until they say what becomes of it.

        Raises:
            TranscodeError: that is more than allowed.
        """
        held: list[tuple[int, bytes]] = []
        for tag, pieces in written:
            if tag == PIXELS:
                yield from self._with_pixels(held, pieces, level)
                held = []
            else:
                held.append((tag, self._hold(pieces)))
        yield from self._release(held)

    def job(self, level: Level) -> Job:
        """Return what the decoder is told, read from the header.

        Raises:
            TranscodeError: the header does not describe an image.
        """
        rows, columns = level.number(ROWS), level.number(COLUMNS)
        samples = level.number(SAMPLES) or 1
        cell = native_cell(level.number(ALLOCATED) or 0)
        if not (rows and columns and cell):
            raise TranscodeError("the header does not describe an image")
        if cell == 1 and samples != 1:
            raise TranscodeError("colours of one bit")
        return Job(
            codec=self._codec,
            rows=rows,
            columns=columns,
            samples=samples,
            bits_allocated=cell,
            bits_stored=min(level.number(STORED) or cell, cell),
            signed=level.number(REPRESENTATION) == 1,
            photometric=level.text(PHOTOMETRIC),
        )

    def _with_pixels(
        self, held: list[tuple[int, bytes]], pieces: Iterator[Buffer], level: Level
    ) -> Iterator[Buffer]:
        first = next(pieces, b"")  # now the frames are decoded, or the pixels never were encapsulated
        if id(level) in self._decoded:
            self._decoded.discard(id(level))
            held = self._changed(held, level)
        yield from self._release(held)
        yield first
        yield from pieces

    def _changed(self, held: list[tuple[int, bytes]], level: Level) -> list[tuple[int, bytes]]:
        job = self.job(level)
        changes: dict[int, bytes] = {}
        if job.photometric_after != job.photometric:
            value = job.photometric_after.encode()
            value += b" " * (len(value) % 2)
            changes[PHOTOMETRIC] = header(PHOTOMETRIC, "CS", len(value), self._target) + value
        if job.samples > 1:
            changes[PLANAR] = self._number(PLANAR, 0)
        if job.bits_allocated != level.number(ALLOCATED):
            changes[ALLOCATED] = self._number(ALLOCATED, job.bits_allocated)
        kept = [(tag, raw) for tag, raw in held if tag not in changes and tag not in _OFFSET_TABLES]
        return sorted([*kept, *changes.items()], key=lambda element: element[0])

    def _number(self, tag: int, value: int) -> bytes:
        return header(tag, "US", 2, self._target) + value.to_bytes(2, "little")

    def _hold(self, pieces: Iterator[Buffer]) -> bytes:
        held = bytearray()
        for piece in pieces:
            held += piece
            if self._held_bytes + len(held) > self._limits.header_bytes:
                raise TranscodeError(f"more than {self._limits.header_bytes} bytes before the pixels")
        self._held_bytes += len(held)
        return bytes(held)

    def _release(self, held: list[tuple[int, bytes]]) -> Iterator[bytes]:
        for _tag, raw in held:
            self._held_bytes -= len(raw)
            yield raw
