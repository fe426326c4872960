from dataclasses import dataclass
from typing import NamedTuple

from deid.splice.varint import read_varint, write_varint

_KIND = 0b0000_0011
_NEXT = 0b0000_0100
_SWAP_SHIFT = 3
_SWAP = 0b0001_1000
_KNOWN_BITS = _KIND | _NEXT | _SWAP
_SWAPS = (0, 2, 4, 8)
_LITERAL, _COPY, _XOR = range(3)


class ProgramError(ValueError):
    """Bytes that are no program; the message holds offsets only."""


class Literal(NamedTuple):
    """Take the next `length` literal bytes."""

    length: int


class Copy(NamedTuple):
    """Take payload bytes `[start, start + length)`, words of `swap` bytes reversed where it is not 0."""

    payload: int
    start: int
    length: int
    swap: int = 0


class Xor(NamedTuple):
    """As Copy, then exclusive-or with the next `length` literal bytes."""

    payload: int
    start: int
    length: int
    swap: int = 0


Op = Literal | Copy | Xor


@dataclass(frozen=True, slots=True)
class Program:
    """How an original is put together from literals and published payloads: its ops in stream order."""

    ops: tuple[Op, ...]

    @property
    def length(self) -> int:
        """Bytes of the original."""
        return sum(op.length for op in self.ops)

    @property
    def literal_bytes(self) -> int:
        """Bytes of literals the program consumes."""
        return sum(op.length for op in self.ops if not isinstance(op, Copy))

    @property
    def whole(self) -> bool:
        """Whether the original comes from literals alone, with no payload of the record."""
        return all(isinstance(op, Literal) for op in self.ops)


def whole_program(length: int) -> Program:
    """Return the program of an instance whose every byte is sealed."""
    return Program((Literal(length),) if length else ())


def encode_program(program: Program) -> bytes:
    """Write a program as SEAL.md lays it out: an op byte, then varints."""
    out = bytearray()
    previous = -1
    for op in program.ops:
        if isinstance(op, Literal):
            out.append(_LITERAL)
        else:
            follows = op.payload == previous + 1 and op.start == 0
            kind = _XOR if isinstance(op, Xor) else _COPY
            out.append(kind | (_NEXT if follows else 0) | _SWAPS.index(op.swap) << _SWAP_SHIFT)
            if not follows:
                write_varint(out, op.payload)
                write_varint(out, op.start)
            previous = op.payload
        write_varint(out, op.length)
    return bytes(out)


def decode_program(raw: bytes) -> Program:
    """Read what `encode_program` wrote.

    Raises:
        ProgramError: an unknown op, a number cut short, or a word swap over a part of a word.
    """
    ops: list[Op] = []
    position, previous = 0, -1
    try:
        while position < len(raw):
            head = raw[position]
            kind, swap = head & _KIND, _SWAPS[(head & _SWAP) >> _SWAP_SHIFT]
            if head & ~_KNOWN_BITS or kind > _XOR:
                raise ProgramError(f"unknown op at offset {position}")
            position += 1
            payload, start = previous + 1, 0
            if kind != _LITERAL and not head & _NEXT:
                payload, position = read_varint(raw, position)
                start, position = read_varint(raw, position)
            length, position = read_varint(raw, position)
            if swap and (kind == _LITERAL or length % swap):
                raise ProgramError(f"swap over part of a word at offset {position}")
            if kind == _LITERAL:
                ops.append(Literal(length))
                continue
            ops.append((Xor if kind == _XOR else Copy)(payload, start, length, swap))
            previous = payload
    except IndexError as error:
        raise ProgramError(f"cut at offset {position}") from error
    return Program(tuple(ops))
