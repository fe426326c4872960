from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from deid.elements import Buffer
from deid.seal.values import SealReason, SealRefused
from deid.splice.program import Program, ProgramError, decode_program
from deid.splice.varint import read_varint, write_varint

_SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """What a block says of one instance; `piece` is the number of its first piece, 0: literals are here."""

    transfer_syntax: str
    length: int
    program: bytes = field(repr=False)
    literal_bytes: int
    piece: int
    sha256: bytes = field(repr=False)


def encode_block(entries: Sequence[Entry], literals: Iterable[Buffer]) -> bytes:
    """Write a block: columns of its entries, then the literals of those that have no pieces."""
    syntaxes = sorted({entry.transfer_syntax for entry in entries})
    out = bytearray()
    write_varint(out, len(entries))
    write_varint(out, len(syntaxes))
    for syntax in syntaxes:
        raw = syntax.encode("ascii")
        write_varint(out, len(raw))
        out += raw
    columns = (
        (syntaxes.index(entry.transfer_syntax) for entry in entries),
        (entry.length for entry in entries),
        (len(entry.program) for entry in entries),
        (entry.literal_bytes for entry in entries),
        (entry.piece for entry in entries),
    )
    for column in columns:
        for number in column:
            write_varint(out, number)
    out += b"".join(entry.sha256 for entry in entries)
    out += b"".join(entry.program for entry in entries)
    for buffer in literals:
        out += buffer
    return bytes(out)


class Block:
    """A block that was authenticated and inflated; entries by their place in it."""

    def __init__(self, raw: bytes) -> None:
        """Read the columns.

        Raises:
            SealRefused: they contradict each other or the length of the block.
        """
        self._raw = raw
        try:
            self.entries, self._literals = self._read()
        except (IndexError, ValueError) as error:
            raise SealRefused(SealReason.DAMAGED) from error

    def program(self, place: int) -> Program:
        """Return the program of an entry.

        Raises:
            SealRefused: it is no program.
        """
        try:
            return decode_program(self.entries[place].program)
        except ProgramError as error:
            raise SealRefused(SealReason.DAMAGED) from error

    def literals(self, place: int) -> memoryview:
        """Return the literals of an entry that has no pieces."""
        start, stop = self._literals[place], self._literals[place + 1]
        return memoryview(self._raw)[start:stop]

    def _read(self) -> tuple[list[Entry], list[int]]:
        raw = self._raw
        count, position = read_varint(raw, 0)
        kinds, position = read_varint(raw, position)
        syntaxes: list[str] = []
        for _ in range(kinds):
            length, position = read_varint(raw, position)
            syntaxes.append(raw[position : position + length].decode("ascii"))
            position += length
        columns: list[list[int]] = []
        for _ in range(5):
            column: list[int] = []
            for _ in range(count):
                number, position = read_varint(raw, position)
                column.append(number)
            columns.append(column)
        digests = position
        position += count * _SHA256_BYTES
        entries: list[Entry] = []
        for n, (syntax, length, program, literal, piece) in enumerate(zip(*columns, strict=True)):
            digest = digests + n * _SHA256_BYTES
            entries.append(
                Entry(
                    syntaxes[syntax],
                    length,
                    raw[position : position + program],
                    literal,
                    piece,
                    raw[digest : digest + _SHA256_BYTES],
                )
            )
            position += program
        starts = [position]
        starts += (position := position + (0 if entry.piece else entry.literal_bytes) for entry in entries)
        if position != len(raw):
            raise ValueError("lengths do not add up to the block")
        return entries, starts
