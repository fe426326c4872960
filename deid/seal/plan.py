from collections.abc import Sequence
from dataclasses import dataclass, field

from deid.seal.segments import PIECE_BYTES
from deid.seal.values import Sealable
from deid.splice.program import encode_program

BLOCK_BYTES = 2 << 20
INLINE_BYTES = 1 << 20
INLINE_WHOLE_BYTES = 64 << 10
_ENTRY_BYTES = 64  # what an entry adds to a block beside program and literals, roughly


@dataclass(frozen=True, slots=True)
class Planned:
    """One original with its place; `piece` is the number of its first piece, 0: literals are in a block."""

    sealable: Sealable = field(repr=False)
    program: bytes = field(repr=False)
    literal_bytes: int
    piece: int
    pieces: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Which segments a companion gets, decided from lengths alone: their count authenticates each."""

    blocks: tuple[tuple[Planned, ...], ...]
    segments: int


def plan(instances: Sequence[Sealable], rows_bytes: int) -> Plan:
    """Cut instances into blocks of about 2 MiB raw, and long literals into pieces."""
    blocks: list[list[int]] = []
    programs = [encode_program(instance.program) for instance in instances]
    literals = [instance.program.literal_bytes for instance in instances]
    inline = [
        size <= (INLINE_WHOLE_BYTES if instance.program.whole else INLINE_BYTES)
        for size, instance in zip(literals, instances, strict=True)
    ]
    room = 0
    for index, program in enumerate(programs):
        size = _ENTRY_BYTES + len(program) + (literals[index] if inline[index] else 0)
        if not blocks or size > room:
            blocks.append([])
            room = BLOCK_BYTES
        blocks[-1].append(index)
        room -= size
    number = len(blocks) + 1
    planned: list[Planned] = []
    for index, instance in enumerate(instances):
        pieces = 0 if inline[index] else -(-literals[index] // PIECE_BYTES)
        first = number if pieces else 0
        planned.append(Planned(instance, programs[index], literals[index], first, pieces))
        number += pieces
    return Plan(
        blocks=tuple(tuple(planned[index] for index in block) for block in blocks),
        segments=number - 1 + -(-rows_bytes // PIECE_BYTES),
    )
