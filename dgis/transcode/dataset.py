"""Writing a data set anew in another encoding, element by element, as it comes (PS3.5 7.1 to 7.5)."""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from deid.elements import MAX_DEPTH, UNDEFINED, Buffer, Encoding, WalkError, item_encoding
from deid.splice.words import LOOKED_AT_BYTES, are_whole, may_be_whole
from deid.vr import dictionary_vr, long_form
from dgis.transcode.level import ALLOCATED, Level
from dgis.transcode.source import Source
from dgis.transcode.values import ANY_PIXELS, PIXELS, header, swapped, word_bytes

_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_ENDS = frozenset({_ITEM_END, _SEQUENCE_END})
_DELIMITER_GROUP = 0xFFFE
_UNDEFINED_LENGTH = 0xFFFFFFFF
_HEADER_BYTES = 8
_UNBOUNDED = 1 << 62

_LITTLE, _BIG = struct.Struct("<HHI"), struct.Struct(">HHI")
OPEN_ITEM = _LITTLE.pack(0xFFFE, 0xE000, _UNDEFINED_LENGTH)
CLOSE_ITEM = _LITTLE.pack(0xFFFE, 0xE00D, 0)
CLOSE_SEQUENCE = _LITTLE.pack(0xFFFE, 0xE0DD, 0)


class Head(NamedTuple):
    """The header of an element as it lay in the source; `length` in bytes, UNDEFINED (-1) when undefined."""

    tag: int
    vr: str
    length: int


# What stands for the encapsulated pixels of a level: takes the items that follow from the source.
Pixels = Callable[[Source, Level], Iterator[Buffer]]
# How the elements of a level are put together, given one after another as (tag, their bytes).
Assembly = Callable[[Iterator[tuple[int, Iterator[Buffer]]], Level], Iterator[Buffer]]


def in_order(written: Iterator[tuple[int, Iterator[Buffer]]], _level: Level) -> Iterator[Buffer]:
    """Put the elements of a level together as they come."""
    for _tag, pieces in written:
        yield from pieces


class Rewriter:
    """Writes the data set of a source in `target`; one instance, one use.

    Group lengths are left out, sequences get undefined lengths, so that nothing is held: memory is bounded
    by the largest piece of the source. Values are swapped to little endian and else untouched.

    Args:
        source: where the data set is read.
        encoding: of the source.
        target: implicit or explicit little endian.
        assemble: puts the elements of each level together.
        pixels: writes an encapsulated pixel element; without it there may be none.
    """

    def __init__(
        self,
        source: Source,
        encoding: Encoding,
        target: Encoding,
        assemble: Assembly = in_order,
        pixels: Pixels | None = None,
    ) -> None:
        self._source = source
        self._encoding = encoding
        self._target = target
        self._assemble = assemble
        self._pixels = pixels

    def pieces(self) -> Iterator[Buffer]:
        """Yield the data set; a piece is valid until the next is asked for.

        Where the length of the source is known, a value that passes it is refused before it is begun.

        Raises:
            WalkError: the bytes do not parse to the very end, or nest deeper than MAX_DEPTH.
        """
        level = Level()
        yield from self._assemble(self._elements(level, self._encoding, self._source.length), level)

    def _elements(
        self, level: Level, encoding: Encoding, stop: int | None
    ) -> Iterator[tuple[int, Iterator[Buffer]]]:
        """Yield what becomes of each element up to `stop`; to the delimiter or the end where that is None."""
        source = self._source
        if level.depth > MAX_DEPTH:
            raise WalkError(f"nested deeper than {MAX_DEPTH} at offset {source.position}")
        while stop is None or source.position < stop:
            if stop is None and not level.depth and source.ended():
                return
            head = self._head(encoding)
            if head.tag == _ITEM_END and stop is None and level.depth:
                return
            if head.tag in _ENDS and head.length == 0 and (stop is not None or not level.depth):
                continue  # it ends nothing, and is seen in the field
            if head.tag >> 16 == _DELIMITER_GROUP:
                raise WalkError(f"item or delimiter outside a sequence before offset {source.position}")
            if stop is not None and source.position + max(head.length, 0) > stop:
                raise WalkError(f"a value passes the end of its item at offset {source.position}")
            yield head.tag, self._element(head, level, encoding)

    def _head(self, encoding: Encoding) -> Head:
        source = self._source
        raw = source.read(_HEADER_BYTES)
        big = encoding is Encoding.EXPLICIT_BE
        group, number, length = (_BIG if big else _LITTLE).unpack(raw)
        tag = group << 16 | number
        if group == _DELIMITER_GROUP:
            return Head(tag, "", length)
        if encoding.implicit:
            vr = dictionary_vr(tag)
        else:
            vr, is_long = long_form(raw[4:6])
            length = int.from_bytes(source.read(4) if is_long else raw[6:], "big" if big else "little")
        return Head(tag, vr, UNDEFINED if length == _UNDEFINED_LENGTH else length)

    def _element(self, head: Head, level: Level, encoding: Encoding) -> Iterator[Buffer]:
        tag, vr, length = head
        if tag & 0xFFFF == 0:
            for _group_length in self._source.pieces(max(length, 0)):
                pass  # retired (PS3.5 7.2), and no longer true
        elif length == UNDEFINED and tag == PIXELS:
            if self._pixels is None:
                raise WalkError("encapsulated pixels in a transfer syntax that knows none")
            yield from self._pixels(self._source, level)
        elif vr == "SQ" or (length == UNDEFINED and (vr == "UN" or encoding.implicit)):
            # UN of undefined length is a sequence in implicit form (PS3.5 6.2.2 note 4).
            inner = Encoding.IMPLICIT_LE if vr == "UN" else encoding
            yield from self._sequence(head, level, inner)
        elif length == UNDEFINED:
            yield from self._fragments(head, encoding)
        else:
            yield from self._value(head, level, encoding)

    def _value(self, head: Head, level: Level, encoding: Encoding) -> Iterator[Buffer]:
        tag, vr, length = head
        if tag in ANY_PIXELS and not level.depth:
            self._source.allow(level.matrix_bytes())
        allocated = level.number(ALLOCATED)
        width = word_bytes(tag, vr, encoding, allocated)
        if tag == PIXELS and width > 1 and may_be_whole(vr, allocated):
            width = self._word_bytes(length, allocated or 0)
        yield header(tag, level.vr(tag, vr, encoding), length, self._target)
        pieces = swapped(self._source.pieces(length), width)
        if level.wants(tag, length):
            value = b"".join(map(bytes, pieces))
            level.learn(tag, value)
            yield value
        else:
            yield from pieces

    def _word_bytes(self, length: int, allocated: int) -> int:
        """Return the bytes of a word of big endian pixels in OW, which may be whole cells."""
        value = self._source.peek(min(length, LOOKED_AT_BYTES))
        return allocated // 8 if are_whole(value, allocated) else 2

    def _sequence(self, head: Head, level: Level, encoding: Encoding) -> Iterator[Buffer]:
        source = self._source
        stop = None if head.length == UNDEFINED else source.position + head.length
        yield header(head.tag, "SQ", _UNDEFINED_LENGTH, self._target)
        while stop is None or source.position < stop:
            tag, length = self._item_head(encoding)
            if tag == _SEQUENCE_END:
                # A delimiter although the length is defined: useless, harmless, seen in the field.
                for _rest in source.pieces(0 if stop is None else stop - source.position):
                    pass
                break
            item_stop = None if length == _UNDEFINED_LENGTH else source.position + length
            if stop is not None and (item_stop or source.position) > stop:
                raise WalkError(f"an item passes the end of its sequence at offset {source.position}")
            bound = _UNBOUNDED if item_stop is None else item_stop - source.position
            first = source.peek(_HEADER_BYTES)
            inner = item_encoding(first, 0, min(bound, _known(first)), encoding)
            item = Level(level, level.depth + 1)
            yield OPEN_ITEM
            yield from self._assemble(self._elements(item, inner, item_stop), item)
            yield CLOSE_ITEM
        if stop is not None and source.position > stop:
            raise WalkError(f"an item passes the end of its sequence at offset {source.position}")
        yield CLOSE_SEQUENCE

    def _fragments(self, head: Head, encoding: Encoding) -> Iterator[Buffer]:
        """Pass on items that hold no elements: private encapsulated values. What is in them nobody knows."""
        yield header(head.tag, head.vr, _UNDEFINED_LENGTH, self._target)
        while True:
            tag, length = self._item_head(encoding)
            if tag == _SEQUENCE_END:
                break
            yield _LITTLE.pack(_ITEM >> 16, _ITEM & 0xFFFF, length)
            yield from self._source.pieces(length)
        yield CLOSE_SEQUENCE

    def _item_head(self, encoding: Encoding) -> tuple[int, int]:
        form = _BIG if encoding is Encoding.EXPLICIT_BE else _LITTLE
        group, number, length = form.unpack(self._source.read(_HEADER_BYTES))
        tag = group << 16 | number
        if tag not in {_ITEM, _SEQUENCE_END}:
            raise WalkError(f"no item before offset {self._source.position}")
        return tag, length


def _known(first: bytes) -> int:
    """How much there may be, given the first bytes of it."""
    return _UNBOUNDED if len(first) == _HEADER_BYTES else len(first)
