from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

import zstandard

from deid.elements import Buffer
from deid.keys.values import PatientKey
from deid.seal.block import Block
from deid.seal.directory import Directory, Row, parse_directory
from deid.seal.header import MAX_HEADER_BYTES, Header, identity, parse_header
from deid.seal.padding import padding_segments
from deid.seal.segments import DIRECTORY_PLACE, OVERHEAD_BYTES, PIECE_BYTES, Cipher, Kind, Place
from deid.seal.values import SealedInstance, SealNames, SealReason, SealRefused, Source

# One read that holds header and directory of every part but the hugest (some 900 segments).
_FIRST_READ_BYTES = 16 << 10
# A block holds at most 1 MiB of literals beside programs: far above any, and far below harm.
_MAX_BLOCK_BYTES = 64 << 20


def read_names(source: Source) -> SealNames:
    """Return what a companion calls itself; unchecked until it is opened with the key it names.

    Raises:
        SealRefused: these bytes are no companion.
    """
    header, _encoded = parse_header(_read(source, 0, min(source.size, MAX_HEADER_BYTES)))
    return header.names


def open_companion(source: Source, key: PatientKey, names: SealNames) -> "CompanionReader":
    """Open a companion for reading; touches header and directory only.

    Raises:
        SealRefused: no companion, not the one the names mean, damaged, or another key than its own.
    """
    front = _read(source, 0, min(source.size, _FIRST_READ_BYTES))
    header, encoded = parse_header(front)
    if header.names != names or key.name != names.patient_key:
        raise SealRefused(SealReason.OTHER_COMPANION)
    if header.object_bytes != source.size or len(encoded) + header.directory_bytes > source.size:
        raise SealRefused(SealReason.DAMAGED)
    start, stop = len(encoded), len(encoded) + header.directory_bytes
    stored = front[start:stop] if stop <= len(front) else _read(source, start, stop - start)
    cipher = Cipher(key, names)
    directory = parse_directory(cipher.open(encoded, DIRECTORY_PLACE, stored))
    return CompanionReader(_Known(source, front), header, directory, cipher)


class CompanionReader:
    """An opened companion: instances by their place in the part, each from one more ranged read."""

    def __init__(self, source: Source, header: Header, directory: Directory, cipher: Cipher) -> None:
        """Take over what `open_companion` checked."""
        self._source = source
        self._binding = identity(header.encode())
        self._cipher = cipher
        self._directory = directory
        first = len(header.encode()) + header.directory_bytes
        self._offsets = list(accumulate((row.stored for row in directory.rows), initial=first))
        if self._offsets[-1] > source.size:
            raise SealRefused(SealReason.DAMAGED)
        self._block = lru_cache(maxsize=2)(self._read_block)

    def __len__(self) -> int:
        """How many originals are sealed here."""
        return self._directory.instances

    def instance(self, index: int) -> SealedInstance:
        """Return one original's description; its literals are read when they are iterated, if they are long.

        Raises:
            SealRefused: there is no such instance, or its block is damaged.
        """
        for number, row in enumerate(self._directory.rows, 1):
            if row.kind is Kind.BLOCK and row.first <= index < row.first + row.instances:
                block = self._block(number)
                if len(block.entries) != row.instances:
                    raise SealRefused(SealReason.DAMAGED)
                return self._instance(block, index - row.first)
        raise SealRefused(SealReason.NO_INSTANCE)

    def rows(self) -> bytes:
        """Return the sealed rows.

        Raises:
            SealRefused: they are damaged.
        """
        numbers = [n for n, row in enumerate(self._directory.rows, 1) if row.kind is Kind.ROWS]
        return b"".join(self._raw(number) for number in numbers)

    def verify(self) -> None:
        """Read everything, padding included.

        Raises:
            SealRefused: a bit differs somewhere, or an entry does not hold together.
        """
        for number, row in enumerate(self._directory.rows, 1):
            if row.kind is not Kind.BLOCK:
                self._raw(number)
        for index in range(len(self)):
            self.instance(index)
        listed, position = len(self._directory.rows), self._offsets[-1]
        if self._source.size - position < OVERHEAD_BYTES:
            raise SealRefused(SealReason.DAMAGED)
        for number, stored in enumerate(padding_segments(self._source.size - position), listed + 1):
            place = Place(Kind.PADDING, number, listed)
            self._cipher.open(self._binding, place, _read(self._source, position, stored))
            position += stored

    def _instance(self, block: Block, place: int) -> SealedInstance:
        entry = block.entries[place]
        program = block.program(place)
        if program.length != entry.length or program.literal_bytes != entry.literal_bytes:
            raise SealRefused(SealReason.DAMAGED)
        literals = (
            _Pieces(self, entry.piece, entry.literal_bytes) if entry.piece else (block.literals(place),)
        )
        return SealedInstance(entry.transfer_syntax, entry.length, entry.sha256, program, literals)

    def _read_block(self, number: int) -> Block:
        return Block(self._raw(number))

    def _raw(self, number: int) -> bytes:
        """Return a segment read, authenticated and inflated."""
        row = self._row(number)
        stored = _read(self._source, self._offsets[number - 1], row.stored)
        place = Place(row.kind, number, len(self._directory.rows))
        packed = self._cipher.open(self._binding, place, stored)
        limit = _MAX_BLOCK_BYTES if row.kind is Kind.BLOCK else PIECE_BYTES
        try:
            if row.raw > limit or zstandard.frame_content_size(packed) != row.raw:
                raise SealRefused(SealReason.DAMAGED)
            return zstandard.ZstdDecompressor().decompress(packed, max_output_size=row.raw)
        except zstandard.ZstdError as error:
            raise SealRefused(SealReason.DAMAGED) from error

    def _row(self, number: int) -> Row:
        if not 0 < number <= len(self._directory.rows):
            raise SealRefused(SealReason.DAMAGED)
        return self._directory.rows[number - 1]

    def piece(self, number: int) -> bytes:
        """Return one piece of long literals; `SealedInstance.literals` asks.

        Raises:
            SealRefused: it is damaged, or no piece.
        """
        if self._row(number).kind is not Kind.PIECE:
            raise SealRefused(SealReason.DAMAGED)
        return self._raw(number)


class _Known:
    """A source whose first bytes are here already: a small companion needs no second read."""

    def __init__(self, source: Source, front: bytes) -> None:
        self._source = source
        self._front = front
        self.size = source.size

    def read(self, start: int, length: int) -> Buffer:
        if start + length <= len(self._front):
            return self._front[start : start + length]
        return self._source.read(start, length)


class _Pieces:
    """The long literals of one instance, read piece by piece, as often as they are iterated."""

    def __init__(self, reader: CompanionReader, first: int, literal_bytes: int) -> None:
        self._reader = reader
        self._numbers = range(first, first + -(-literal_bytes // PIECE_BYTES))

    def __iter__(self) -> Iterator[bytes]:
        return map(self._reader.piece, self._numbers)


def _read(source: Source, start: int, length: int) -> bytes:
    raw = source.read(start, length)
    if len(raw) != length:
        raise SealRefused(SealReason.DAMAGED)
    return bytes(raw)  # no copy where it is that already
