import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import BinaryIO

import zstandard

from deid.elements import Buffer
from deid.keys.values import PatientKey
from deid.seal.block import Entry, encode_block
from deid.seal.directory import Directory, Row, stored_bytes
from deid.seal.header import ID_BYTES, Header, identity
from deid.seal.padding import padded_bytes, padding_segments
from deid.seal.plan import Planned, plan
from deid.seal.segments import DIRECTORY_PLACE, OVERHEAD_BYTES, PIECE_BYTES, Cipher, Kind, Place
from deid.seal.values import Sealable, SealNames
from deid.splice.build import literals_of

_HEADER_LEVEL = 9
# Six times slower, 5 % smaller: worth it only where headers outweigh pixels (private-heavy MR).
_HEAVY_HEADER_LEVEL = 15
_IMAGE_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Companion:
    """A companion as written, ready to be put on nodes: its buffers in order, size and SHA-256 of them."""

    names: SealNames
    body: tuple[Buffer, ...] = field(repr=False)
    size: int
    sha256: bytes


def seal_part(
    instances: Sequence[Sealable],
    names: SealNames,
    key: PatientKey,
    rows: bytes,
    *,
    spool: BinaryIO | None = None,
) -> Companion:
    """Seal the originals of one part, in order, and the rows that belong to them.

    The companion is made in memory, or in `spool` (an empty file opened for reading and writing), of which
    `body` is then a map: for parts with instances that are sealed whole and huge. Originals are read once and
    never copied whole. `rows` is opaque here.

    Raises:
        ValueError: the key is not the one the names speak of.
    """
    if key.name != names.patient_key:
        raise ValueError("the key belongs to another patient than the names say")
    writing = _Writing(instances, names, key, rows)
    sink = _Memory() if spool is None else _Spool(spool, writing.front_bytes)
    for segment in writing.segments():
        sink.add(segment)
    body = sink.close(writing.front())
    digest = sha256()
    for buffer in body:
        digest.update(buffer)
    return Companion(names, body, sum(map(len, body)), digest.digest())


class _Writing:
    """One companion on its way: segments first, then the front, which states where they lie."""

    def __init__(
        self,
        instances: Sequence[Sealable],
        names: SealNames,
        key: PatientKey,
        rows: bytes,
    ) -> None:
        self._plan = plan(instances, len(rows))
        self._instances = len(instances)
        self._rows = rows
        self._header = Header(names, os.urandom(ID_BYTES), stored_bytes(self._plan.segments), 0)
        self._binding = identity(self._header.encode())
        self._cipher = Cipher(key, names)
        self._listed: list[Row] = []
        self._size = self.front_bytes
        self._header_level = _HEAVY_HEADER_LEVEL if _headers_outweigh_pixels(instances) else _HEADER_LEVEL
        levels = (_IMAGE_LEVEL, _HEADER_LEVEL, _HEAVY_HEADER_LEVEL)
        self._zstd = {level: zstandard.ZstdCompressor(level=level) for level in levels}

    @property
    def front_bytes(self) -> int:
        """Bytes of header and directory."""
        return len(self._header.encode()) + self._header.directory_bytes

    def segments(self) -> Iterator[bytes]:
        """Yield every segment as it is stored, padding last."""
        first = 0
        for block in self._plan.blocks:
            yield self._block(block, first)
            first += len(block)
        index = 0
        for block in self._plan.blocks:
            for planned in block:
                yield from self._pieces(planned, index)
                index += 1
        for start in range(0, len(self._rows), PIECE_BYTES):
            yield self._listed_segment(Kind.ROWS, self._rows[start : start + PIECE_BYTES], _HEADER_LEVEL)
        yield from self._padding()

    def front(self) -> bytes:
        """Return header and directory; asked for after the last segment."""
        header = Header(
            self._header.names, self._header.companion_id, self._header.directory_bytes, self._size
        ).encode()
        directory = Directory(self._instances, tuple(self._listed)).encode()
        return header + self._cipher.seal(header, DIRECTORY_PLACE, directory)

    def _block(self, block: tuple[Planned, ...], first: int) -> bytes:
        entries = [
            Entry(
                planned.sealable.transfer_syntax,
                len(planned.sealable.original),
                planned.program,
                planned.literal_bytes,
                planned.piece,
                planned.sealable.sha256,
            )
            for planned in block
        ]
        literals = (buffer for planned in block if not planned.piece for buffer in _literals(planned))
        raw = encode_block(entries, literals)
        return self._listed_segment(Kind.BLOCK, raw, self._header_level, first, len(block))

    def _pieces(self, planned: Planned, index: int) -> Iterator[bytes]:
        if planned.pieces:
            level = _IMAGE_LEVEL if planned.sealable.program.whole else _HEADER_LEVEL
            for piece in _cut(_literals(planned)):
                yield self._listed_segment(Kind.PIECE, piece, level, index)

    def _listed_segment(
        self, kind: Kind, raw: Buffer, level: int, first: int = 0, instances: int = 0
    ) -> bytes:
        place = Place(kind, len(self._listed) + 1, self._plan.segments)
        stored = self._cipher.seal(self._binding, place, self._zstd[level].compress(memoryview(raw)))
        self._listed.append(Row(kind, len(stored), len(raw), first, instances))
        self._size += len(stored)
        return stored

    def _padding(self) -> Iterator[bytes]:
        listed = self._plan.segments
        room = padded_bytes(self._size + OVERHEAD_BYTES) - self._size
        for number, stored in enumerate(padding_segments(room), listed + 1):
            self._size += stored
            zeros = bytes(stored - OVERHEAD_BYTES)
            yield self._cipher.seal(self._binding, Place(Kind.PADDING, number, listed), zeros)


def _headers_outweigh_pixels(instances: Sequence[Sealable]) -> bool:
    spliced = [each for each in instances if not each.program.whole]
    literals = sum(each.program.literal_bytes for each in spliced)
    return 2 * literals > sum(len(each.original) for each in spliced)


def _literals(planned: Planned) -> Iterator[Buffer]:
    sealable = planned.sealable
    return literals_of(sealable.original, sealable.program, sealable.published)


def _cut(buffers: Iterable[Buffer]) -> Iterator[Buffer]:
    """Yield the same bytes in pieces of PIECE_BYTES, the last shorter; views where one buffer spans one."""
    held = bytearray()
    for buffer in buffers:
        view = memoryview(buffer)
        while len(held) + len(view) >= PIECE_BYTES:
            taken = PIECE_BYTES - len(held)
            yield bytes(held) + view[:taken] if held else view[:taken]
            held.clear()
            view = view[taken:]
        held += view
    if held:
        yield bytes(held)


class _Memory:
    """Keeps segments as they come."""

    def __init__(self) -> None:
        self._segments: list[bytes] = []

    def add(self, segment: bytes) -> None:
        self._segments.append(segment)

    def close(self, front: bytes) -> tuple[Buffer, ...]:
        return (front, *self._segments)


class _Spool:
    """Writes segments to a file behind room for the front, and maps the file at the end."""

    def __init__(self, file: BinaryIO, front_bytes: int) -> None:
        self._file = file
        file.seek(front_bytes)

    def add(self, segment: bytes) -> None:
        self._file.write(segment)

    def close(self, front: bytes) -> tuple[Buffer, ...]:
        self._file.seek(0)
        self._file.write(front)
        self._file.flush()
        return (mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ),)
