import struct
from collections.abc import Iterator
from enum import Enum
from mmap import mmap
from typing import NamedTuple

from deid.vr import FORMS, dictionary_vr, is_vr, long_form

Buffer = bytes | bytearray | memoryview | mmap

MAX_DEPTH = 64
# Of one walk, nested ones counted: seconds of work. The largest real headers have a third of it.
MAX_ELEMENTS = 1 << 20
# Of one level: tags do not repeat there (PS3.5 7.1), and real headers have some thousands. A list of more is
# somebody's try at our memory.
MAX_SIBLINGS = 1 << 16
UNDEFINED = -1

PIXEL_DATA = 0x7FE00010
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_DELIMITER_GROUP = 0xFFFE
# Delimiters of nothing, in both byte orders: some writers end pixels, or what has a length, a second time.
_STRAY = frozenset(
    struct.pack(f"{order}HHI", 0xFFFE, number, 0) for order in "<>" for number in (0xE00D, 0xE0DD)
)
_UNDEFINED_LENGTH = 0xFFFFFFFF
_HEADER_BYTES = 8
_LONG_HEADER_BYTES = 12

# Deflated syntaxes carry explicit VR little endian inside; the caller inflates first (deid.deflate).
_IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"


class WalkError(ValueError):
    """Bytes that are no well-formed data set; the message holds offsets only, never content."""


class Encoding(Enum):
    """How element headers are written (PS3.5 7.1 and Annex A)."""

    IMPLICIT_LE = "implicit little endian"
    EXPLICIT_LE = "explicit little endian"
    EXPLICIT_BE = "explicit big endian"

    __hash__ = object.__hash__  # there is one of each: Enum would hash the name, in Python, on every look-up

    @property
    def implicit(self) -> bool:
        """Whether the VR stands in the dictionary only."""
        return self is Encoding.IMPLICIT_LE

    @property
    def order(self) -> str:
        """The byte order as `struct` and `numpy` write it: `<` or `>`."""
        return ">" if self is Encoding.EXPLICIT_BE else "<"


class Element(NamedTuple):
    """One element as it lies in a buffer; a tuple because a header has hundreds and this is the hot path.

    `start` is the offset of the tag, `value` of the first value byte, `end` of the first byte after the
    element (after the delimiter when the length is undefined). `length` is in bytes, UNDEFINED (-1) when
    undefined. `vr` comes from the stream, or from the dictionary where the encoding is implicit (UN where
    that knows nothing).
    """

    tag: int
    vr: str
    start: int
    value: int
    length: int
    end: int

    @property
    def value_end(self) -> int:
        """The offset of the first byte after the value, delimiter excluded."""
        return self.end - _HEADER_BYTES if self.length == UNDEFINED else self.end


class Item(NamedTuple):
    """One item of a sequence, or one fragment: its value is `buffer[start:stop]`, read with `encoding`."""

    start: int
    stop: int
    encoding: Encoding


class _Formats(NamedTuple):
    explicit: struct.Struct
    tag_length: struct.Struct
    length: struct.Struct


_LITTLE = _Formats(struct.Struct("<HH2sH"), struct.Struct("<HHI"), struct.Struct("<I"))
_BIG = _Formats(struct.Struct(">HH2sH"), struct.Struct(">HHI"), struct.Struct(">I"))


def _formats(encoding: Encoding) -> _Formats:
    return _BIG if encoding is Encoding.EXPLICIT_BE else _LITTLE


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """Return how the data set of a transfer syntax is encoded (after inflation, where it is deflated).

    Every syntax but the two old ones is explicit VR little endian (PS3.5 Annex A), and private and unknown
    ones are taken for it: `detect_encoding` looks at the bytes.
    """
    if transfer_syntax_uid == _IMPLICIT_LITTLE_ENDIAN:
        return Encoding.IMPLICIT_LE
    if transfer_syntax_uid == _EXPLICIT_BIG_ENDIAN:
        return Encoding.EXPLICIT_BE
    return Encoding.EXPLICIT_LE


def detect_encoding(buffer: Buffer, declared: Encoding) -> Encoding:
    """Return the encoding the first element shows; the declared one where the bytes do not say.

    Files whose meta information lies about the encoding are common: the bytes decide.
    """
    if len(buffer) < _HEADER_BYTES:
        return declared
    group, _element, vr, _length = _LITTLE.explicit.unpack_from(buffer, 0)
    if not is_vr(vr):
        return declared if not declared.implicit and _two_capitals(vr) else Encoding.IMPLICIT_LE
    swapped = (group & 0xFF) << _HEADER_BYTES | group >> 8
    if group == swapped:
        return Encoding.EXPLICIT_LE if declared.implicit else declared
    # The first element of a data set is of group 0008 or near: the smaller reading of the group is right.
    return Encoding.EXPLICIT_LE if group < swapped else Encoding.EXPLICIT_BE


def elements(
    buffer: Buffer, encoding: Encoding, start: int = 0, stop: int | None = None
) -> Iterator[Element]:
    """Walk the elements of one level of `buffer[start:stop]` in stream order, nested ones stepped over.

    Every length is checked against `stop` before it is believed. Tags may repeat or descend: the caller
    judges. A delimiter that ends nothing is stepped over.

    Raises:
        WalkError: the bytes do not parse to the very end, or nest deeper than MAX_DEPTH.
    """
    stop = len(buffer) if stop is None else stop
    formats = _formats(encoding)
    implicit = encoding.implicit
    new_tuple = tuple.__new__  # skips the Python-level constructor: a third of the time of this loop
    skipper: _Skipper | None = None
    count = 0
    position = start
    while position < stop:
        if stop - position < _HEADER_BYTES:
            raise WalkError(f"{stop - position} stray bytes at offset {position}")
        if implicit:
            group, element, length = formats.tag_length.unpack_from(buffer, position)
            tag = group << 16 | element
            vr = dictionary_vr(tag)
            value = position + _HEADER_BYTES
        else:
            group, element, raw_vr, length = formats.explicit.unpack_from(buffer, position)
            tag = group << 16 | element
            vr, is_long = FORMS.get(raw_vr) or long_form(raw_vr)
            value = position + _HEADER_BYTES
            if is_long:
                if stop - position < _LONG_HEADER_BYTES:
                    raise WalkError(f"element header cut at offset {position}")
                (length,) = formats.length.unpack_from(buffer, value)
                value += 4
        if group == _DELIMITER_GROUP:
            position = _past_stray(buffer, position)
            continue
        end = value + length
        if length == _UNDEFINED_LENGTH:
            inner = Encoding.IMPLICIT_LE if vr == "UN" else encoding
            skipper = skipper or _Skipper(buffer, stop)
            end = skipper.past_items(inner, value, 1)
            length = UNDEFINED
        elif end > stop:
            raise WalkError(f"value of {length} bytes at offset {value} passes the end")
        yield new_tuple(Element, (tag, vr, position, value, length, end))
        position = end
        count += 1
        if count > MAX_SIBLINGS:
            raise WalkError(f"more than {MAX_SIBLINGS} elements on one level")


def _past_stray(buffer: Buffer, position: int) -> int:
    """Return the offset after a delimiter that ends nothing."""
    end = position + _HEADER_BYTES
    if bytes(buffer[position:end]) not in _STRAY:
        raise WalkError(f"item or delimiter outside a sequence at offset {position}")
    return end


def items(buffer: Buffer, element: Element, encoding: Encoding) -> Iterator[Item]:
    """Walk the items of a sequence element (or the fragments of an encapsulated one), delimiters left out.

    Inside UN of undefined length the encoding is implicit (PS3.5 6.2.2 note 4), and where the first element
    of an item contradicts the encoding around it, the bytes decide.

    Raises:
        WalkError: the value is no list of items.
    """
    around = Encoding.IMPLICIT_LE if element.vr == "UN" else encoding
    header = _formats(around).tag_length
    position, stop = element.value, element.value_end
    skipper = _Skipper(buffer, stop)
    while position < stop:
        if stop - position < _HEADER_BYTES:
            raise WalkError(f"item header cut at offset {position}")
        group, number, length = header.unpack_from(buffer, position)
        if (group << 16 | number) == _SEQUENCE_END and element.length != UNDEFINED:
            return  # a delimiter although the length is defined: useless, harmless, seen in the field
        if (group << 16 | number) != _ITEM:
            raise WalkError(f"no item at offset {position}")
        inner = item_encoding(buffer, position + _HEADER_BYTES, stop, around)
        if length == _UNDEFINED_LENGTH:
            end = skipper.past_elements(inner, position + _HEADER_BYTES, 1)
            yield Item(position + _HEADER_BYTES, end - _HEADER_BYTES, inner)
        else:
            end = position + _HEADER_BYTES + length
            if end > stop:
                raise WalkError(f"item of {length} bytes at offset {position} passes the end")
            yield Item(position + _HEADER_BYTES, end, inner)
        position = end


def item_encoding(buffer: Buffer, start: int, stop: int, around: Encoding) -> Encoding:
    """Return the encoding of the elements at `start`, given that of what surrounds them."""
    if stop - start < _HEADER_BYTES:
        return around
    vr = bytes(buffer[start + 4 : start + 6])
    if around.implicit:
        # A length whose low half spells a VR is above 16 kB: believe the VR only where that length cannot be.
        (length,) = _LITTLE.length.unpack_from(buffer, start + 4)
        return Encoding.EXPLICIT_LE if is_vr(vr) and length > stop - start - _HEADER_BYTES else around
    delimiter = bytes(buffer[start : start + 2]) in {b"\xfe\xff", b"\xff\xfe"}
    return around if delimiter or _two_capitals(vr) else _implicit(around)


def _implicit(around: Encoding) -> Encoding:
    # There is no implicit big endian; a big endian file with such an item stays unreadable and is refused.
    return around if around is Encoding.EXPLICIT_BE else Encoding.IMPLICIT_LE


def _two_capitals(vr: bytes) -> bool:
    return vr.isalpha() and vr.isupper()


class _Skipper:
    """Finds the end of what has no length, counting the elements it steps over."""

    def __init__(self, buffer: Buffer, stop: int) -> None:
        self._buffer = buffer
        self._stop = stop
        self._left = MAX_ELEMENTS

    def past_items(self, encoding: Encoding, position: int, depth: int) -> int:
        """Return the offset after the delimiter that ends the items beginning at `position`."""
        if depth > MAX_DEPTH:
            raise WalkError(f"nested deeper than {MAX_DEPTH} at offset {position}")
        header = _formats(encoding).tag_length
        while self._stop - position >= _HEADER_BYTES:
            self._spend(position)
            group, number, length = header.unpack_from(self._buffer, position)
            tag = group << 16 | number
            position += _HEADER_BYTES
            if tag == _SEQUENCE_END:
                return position
            if tag != _ITEM:
                raise WalkError(f"no item at offset {position - _HEADER_BYTES}")
            if length == _UNDEFINED_LENGTH:
                inner = item_encoding(self._buffer, position, self._stop, encoding)
                position = self.past_elements(inner, position, depth + 1)
            else:
                position += length
        raise WalkError(f"sequence without end at offset {position}")

    def past_elements(self, encoding: Encoding, position: int, depth: int) -> int:
        """Return the offset after the delimiter that ends the elements beginning at `position`."""
        formats = _formats(encoding)
        while self._stop - position >= _HEADER_BYTES:
            self._spend(position)
            group, number, length = formats.tag_length.unpack_from(self._buffer, position)
            if (group << 16 | number) == _ITEM_END:
                return position + _HEADER_BYTES
            if group == _DELIMITER_GROUP:
                raise WalkError(f"item or delimiter outside a sequence at offset {position}")
            vr = "UN"
            value = position + _HEADER_BYTES
            if not encoding.implicit:
                _group, _number, raw_vr, length = formats.explicit.unpack_from(self._buffer, position)
                vr, is_long = long_form(raw_vr)
                if is_long:
                    if self._stop - position < _LONG_HEADER_BYTES:
                        break
                    (length,) = formats.length.unpack_from(self._buffer, value)
                    value += 4
            if length == _UNDEFINED_LENGTH:
                inner = Encoding.IMPLICIT_LE if vr == "UN" else encoding
                position = self.past_items(inner, value, depth + 1)
            else:
                position = value + length
        raise WalkError(f"item without end at offset {position}")

    def _spend(self, position: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise WalkError(f"more than {MAX_ELEMENTS} elements before offset {position}")
