from collections.abc import Callable, Iterator, Mapping

import numpy as np

from deid.elements import Buffer
from deid.splice.payload import PayloadEdit, kept_ranges, reverse_words
from deid.splice.program import Copy, Literal, Op, Program, Xor, whole_program
from deid.splice.values import Hole, Split, Unsplittable


def program_for(
    split: Split | Unsplittable | None, length: int, edits: Mapping[int, PayloadEdit] | None = None
) -> Program:
    """Return the program that gives an original of `length` bytes back from the payloads as published.

    Without a split (withheld, unsplittable), and where the split was made on inflated bytes, every byte is a
    literal: a deflate stream cannot be made again for certain.

    Raises:
        ValueError: the split is that of other bytes, or an edit does not fit its payload.
    """
    if split is None or isinstance(split, Unsplittable) or split.inflated:
        return whole_program(length)
    if split.length != length:
        raise ValueError("the split was made on other bytes")
    edits = edits or {}
    ops: list[Op] = []
    position = 0
    if split.swap:
        ops.append(Literal(split.value_start))
        ops += _swapped(split, edits)
        position = sum(op.length for op in ops)
    else:
        for index, hole in enumerate(split.holes):
            ops.append(Literal(hole.start - position))
            ops += _plain(index, hole, edits.get(index))
            position = hole.start + hole.length
    ops.append(Literal(length - position))
    return Program(tuple(_merged(ops)))


def literals_of(original: Buffer, program: Program, published: Callable[[int], Buffer]) -> Iterator[Buffer]:
    """Yield the literals a program consumes, in order: views of the original, and masks for its Xor ops.

    `published` returns a payload as the record holds it; only Xor ops ask for it.
    """
    view = memoryview(original)
    position = 0
    for op in program.ops:
        piece = view[position : position + op.length]
        position += op.length
        if isinstance(op, Xor):
            yield xor(piece, payload_part(published(op.payload), op))
        elif isinstance(op, Literal):
            yield piece


def payload_part(payload: Buffer, op: Copy | Xor) -> Buffer:
    """Return the payload bytes an op names, words reversed as it says; shorter where the payload is."""
    part = memoryview(payload)[op.start : op.start + op.length]
    return reverse_words(part, op.swap) if op.swap and len(part) == op.length else part


def xor(left: Buffer, right: Buffer) -> bytes:
    """Return the exclusive-or of two buffers of one length."""
    return np.bitwise_xor(np.frombuffer(left, np.uint8), np.frombuffer(right, np.uint8)).tobytes()


def _plain(index: int, hole: Hole, edit: PayloadEdit | None) -> Iterator[Op]:
    if edit is None:
        yield Copy(index, 0, hole.length)
        return
    make = Xor if edit.overwrites else Copy
    position = published = 0
    for start, length in kept_ranges(hole.length, edit):
        yield Literal(start - position)
        yield make(index, published, length)
        published += length
        position = start + length
    yield Literal(hole.length - position)


def _swapped(split: Split, edits: Mapping[int, PayloadEdit]) -> Iterator[Op]:
    """Yield the ops of a native value with reversed words: whole words of a frame at once, others bytewise.

    Frames of a native value have one size, so the frame of a byte follows from its place.
    """
    if any(edit.dropped for edit in edits.values()):
        raise ValueError("nothing can be dropped from a native frame")
    if not split.holes:
        return
    swap, size = split.swap, split.holes[0].length
    image = size * len(split.holes)

    def op(index: int, start: int, length: int, words: int) -> Op:
        edit = edits.get(index)
        return (Xor if edit is not None and edit.overwrites else Copy)(index, start, length, words)

    position = 0
    while position < image:
        index, start = divmod(position, size)
        if start + swap <= size:
            run = (size - start) // swap * swap
            yield op(index, start, run, swap)
            position += run
            continue
        for logical in range(position + swap - 1, position - 1, -1):
            if logical < image:
                yield op(*divmod(logical, size), 1, 0)
            else:
                yield Literal(1)
        position += swap


def _merged(ops: list[Op]) -> Iterator[Op]:
    """Join neighbouring literals and leave out empty ops."""
    literal = 0
    for op in ops:
        if isinstance(op, Literal):
            literal += op.length
            continue
        if not op.length:
            continue
        if literal:
            yield Literal(literal)
        literal = 0
        yield op
    if literal:
        yield Literal(literal)
