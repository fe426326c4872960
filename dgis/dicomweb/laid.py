"""Where the frames of a large original lie, told from its header and the headers of its fragments alone.

Native frames lie by arithmetic; compressed ones are found by one walk from fragment to fragment. Offset
tables are not asked (`dgis.transcode.fragments` says why). No length is believed that passes the end.
"""

import struct
from array import array
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import overload

from deid.elements import UNDEFINED, Encoding, WalkError, detect_encoding, elements, encoding_of
from deid.vr import long_form
from dgis.dicomweb.described import PIXELS
from dgis.dicomweb.image import Image, NoFramesError
from dgis.dicomweb.multipart import Buffer
from dgis.transcode.errors import DamagedPixelsError
from dgis.transcode.fragments import START_BYTES, begins
from dgis.transcode.limits import Limits
from dgis.transcode.syntaxes import CODECS, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, NATIVE
from dgis.weighed import Weighed

Read = Callable[[int, int], Buffer]
"""Returns bytes of a data set: where they begin, and how many; fewer at its end."""

_HEAD_BYTES = 64 << 10
_MOST_HEAD_BYTES = 16 << 20  # a longer header is read with the rest
_GROWTH = 8
_WINDOW_BYTES = 64 << 10
_MOST_FRAGMENTS = 1 << 20
_MOST_KEPT_BYTES = 32 << 20
_MOST_FRAME_BYTES = 64 << 20  # a larger frame is not taken into memory: the whole is looked at in a file
_FIRST_BYTES = 8
_BITS = 8
_ITEM = struct.Struct("<HHI")
_EXPLICIT = struct.Struct("<HH2sH")
_LENGTH = struct.Struct("<I")
_FRAGMENT, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_NO_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Spans:
    """Where the fragments of each frame lie: `firsts` numbers the first of each frame, and the end."""

    starts: "array[int]" = field(repr=False)
    lengths: "array[int]" = field(repr=False)
    firsts: "array[int]" = field(repr=False)

    @property
    def longest(self) -> int:
        """Bytes of the longest frame."""
        return max((sum(self.lengths[first:stop]) for first, stop in pairwise(self.firsts)), default=0)


@dataclass(frozen=True, slots=True)
class Laid:
    """Frames from `value` on, native where there are no `spans`."""

    image: Image
    value: int
    spans: Spans | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look found: None where only the whole data set tells."""

    known: Laid | None


Layouts = Weighed[Hashable, Looked]


def layouts() -> Layouts:
    """Return a memory of layouts; it holds where frames lie and how they are described, nothing of whose."""
    return Weighed(_MOST_KEPT_BYTES, _weight)


class Streams(Sequence[Buffer]):
    """The codestream of each frame, read when it is taken."""

    def __init__(self, read: Read, spans: Spans) -> None:
        self._read = read
        self._spans = spans

    def __len__(self) -> int:
        return len(self._spans.firsts) - 1

    @overload
    def __getitem__(self, number: int) -> Buffer: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Buffer]: ...
    def __getitem__(self, number: int | slice) -> Buffer | Sequence[Buffer]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        spans = self._spans
        fragments = range(spans.firsts[number], spans.firsts[number + 1])
        parts = [self._read(spans.starts[each], spans.lengths[each]) for each in fragments]
        return parts[0] if len(parts) == 1 else b"".join(parts)


def laid_out(read: Read, length: int, syntax: str) -> Looked:
    """Find out where the frames of a data set lie, whose length is in bytes.

    Raises:
        NoFramesError: it has none, or its header does not describe them.
        WalkError, TranscodeError: it is no well-formed data set.
        Exception: what reading raises.
    """
    declared = encoding_of(syntax)
    native = syntax in NATIVE
    if native and syntax not in {EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN}:
        return Looked(None)  # deflated, or of the other byte order: converted first
    if detect_encoding(bytes(read(0, _FIRST_BYTES)), declared) is not declared:
        return Looked(None)
    found = _pixels(read, length, declared)
    if found is None:
        return Looked(None)
    image, value, size = found
    if native is (size == UNDEFINED):
        return Looked(None)  # the syntax does not say what it is: seen in the field, and judged whole
    if size == UNDEFINED:
        spans = _spans(read, value, length, syntax, image.count)
        return Looked(Laid(image, value, spans) if spans.longest <= _MOST_FRAME_BYTES else None)
    if size > length - value:
        raise WalkError(f"value of {size} bytes at offset {value} passes the end")
    if not image.frame_bits or image.frame_bits * image.count > size * _BITS:
        raise NoFramesError("its header does not describe its pixels")
    return Looked(Laid(image, value) if image.frame_bits <= _MOST_FRAME_BYTES * _BITS else None)


def _pixels(read: Read, length: int, encoding: Encoding) -> tuple[Image, int, int] | None:
    """Return the image, where its pixels begin, and their length; None behind too long a header."""
    size = _HEAD_BYTES
    while True:
        head = read(0, min(size, length))
        found = _pixels_in(head, encoding)
        if found is not None:
            start, value, pixel_bytes = found
            return Image.of(head[:start], encoding), value, pixel_bytes
        if size >= min(length, _MOST_HEAD_BYTES):
            return None
        size *= _GROWTH


def _pixels_in(head: Buffer, encoding: Encoding) -> tuple[int, int, int] | None:
    """Return where the pixel element of a cut data set begins, its value too, and the length it states."""
    at = 0
    try:
        for each in elements(head, encoding):
            if each.tag in PIXELS:
                return each.start, each.value, each.length
            at = each.end
    except WalkError:
        pass  # cut there, as it should be: in the pixels
    if encoding.implicit:
        if len(head) - at < _ITEM.size:
            return None
        group, number, length = _ITEM.unpack_from(head, at)
        value = at + _ITEM.size
    else:
        if len(head) - at < _EXPLICIT.size + _LENGTH.size:
            return None
        group, number, vr, length = _EXPLICIT.unpack_from(head, at)
        value = at + _EXPLICIT.size
        if long_form(vr)[1]:
            (length,) = _LENGTH.unpack_from(head, value)
            value += _LENGTH.size
    if group << 16 | number not in PIXELS:
        return None
    return at, value, UNDEFINED if length == _NO_LENGTH else length


def _spans(read: Read, value: int, length: int, syntax: str, count: int) -> Spans:
    """Walk the fragments.

    Raises:
        NoFramesError, WalkError, TranscodeError: as `laid_out`.
    """
    starts, lengths = array("Q"), array("Q")
    read = _Window(read).read
    for start, size in _fragments(read, value, length):
        starts.append(start)
        lengths.append(size)
    del starts[:1], lengths[:1]  # the basic offset table
    if len(starts) == count:
        return Spans(starts, lengths, array("Q", range(count + 1)))
    firsts = _firsts(read, starts, lengths, syntax, count)
    return Spans(starts, lengths, firsts)


class _Window:
    """Reads a little more than is asked for: the headers of small fragments are near each other."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._start = 0
        self._data: Buffer = b""

    def read(self, start: int, length: int) -> Buffer:
        at = start - self._start
        if at < 0 or at + length > len(self._data):
            self._start = start // _WINDOW_BYTES * _WINDOW_BYTES
            at = start - self._start
            self._data = self._read(self._start, max(at + length, _WINDOW_BYTES))
        return self._data[at : at + length]


def _fragments(read: Read, position: int, length: int) -> Iterator[tuple[int, int]]:
    for _ in range(_MOST_FRAGMENTS):
        header = read(position, _ITEM.size)
        if len(header) < _ITEM.size:
            raise WalkError(f"no fragment and no end at offset {position}")
        group, number, size = _ITEM.unpack(header)
        position += _ITEM.size
        if (group, number) == _END:
            return
        if (group, number) != _FRAGMENT or size > length - position:
            raise WalkError(f"no fragment before offset {position}")
        yield position, size
        position += size
    raise WalkError(f"more than {_MOST_FRAGMENTS} fragments")


def _firsts(read: Read, starts: "array[int]", lengths: "array[int]", syntax: str, count: int) -> "array[int]":
    """Return the first fragment of each frame, as `dgis.transcode.fragments.codestreams` tells them apart."""
    codec = CODECS.get(syntax)
    if codec is None:
        raise NoFramesError("its frames cannot be told apart")
    firsts, gathered, most = array("Q"), 0, Limits().codestream_bytes
    for number, (start, size) in enumerate(zip(starts, lengths, strict=True)):
        if not size:
            continue
        if not firsts or (count > 1 and begins(codec, bytes(read(start, min(size, START_BYTES))))):
            firsts.append(number)
            gathered = 0
        gathered += size
        if gathered > most:
            raise DamagedPixelsError(f"a compressed frame is larger than {most} bytes")
        if len(firsts) > count:
            raise DamagedPixelsError(f"more compressed frames than {count}")
    if len(firsts) != count:
        raise DamagedPixelsError(f"{len(firsts)} compressed frames, not {count}")
    firsts.append(len(starts))
    return firsts


def _weight(looked: Looked) -> int:
    laid = looked.known
    if laid is None:
        return 1
    spans = laid.spans
    arrays = () if spans is None else (spans.starts, spans.lengths, spans.firsts)
    return len(laid.image.described) + sum(each.itemsize * len(each) for each in arrays) + 1
