import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from deid.elements import Buffer
from deid.jp2 import is_jp2, jp2_metadata
from deid.jpeg import Ranges, is_jpeg, jpeg_metadata, trailing
from deid.jpeg2000 import is_jpeg2000, jpeg2000_metadata
from deid.rle import rle_metadata, rle_planes
from deid.splice import PayloadEdit, PixelLayout, Split

_RLE = "1.2.840.10008.1.2.5"
_CODESTREAM_FAMILY = "1.2.840.10008.1.2.4."
# The syntax is published as it is: a number that is too long for one of the family is somebody's.
_CODESTREAMS = re.compile(re.escape(_CODESTREAM_FAMILY) + "[1-9][0-9]{1,2}", re.ASCII)
# PS3.5 A.4: MPEG and HEVC carry user data between the pictures; nobody here reads those.
_VIDEO = frozenset(f"{_CODESTREAM_FAMILY}{number}" for number in (*range(100, 109), 1001, 1011, 1021, 1031))
_WORDS = {8: np.uint8, 16: np.uint16, 32: np.uint32}
_LONG_WORD_BYTES = 8
_Words = np.ndarray[Any, np.dtype[np.unsignedinteger[Any]]]


class Codestream(NamedTuple):
    """One compressed frame, and the fragments it lies in (first index, lengths in bytes)."""

    first: int
    lengths: tuple[int, ...]
    stream: memoryview


def payload_edits(dataset: Buffer, split: Split, transfer_syntax: str) -> Mapping[int, PayloadEdit] | None:
    """Return what has to be taken out of the payloads so that they are pixels and nothing else.

    Native pixels lose bits outside BitsStored (overlays are kept there), compressed ones application and
    comment segments and what follows their end. None where compressed pixels cannot be looked into.
    """
    if split.encapsulated:
        return _compressed(dataset, split, transfer_syntax)
    return _native(dataset, split)


def _native(dataset: Buffer, split: Split) -> Mapping[int, PayloadEdit]:
    layout = split.layout
    outside = 0 if layout is None else _outside(layout)
    if layout is None or outside == 0 or not split.holes:
        return {}
    first, last = split.holes[0], split.holes[-1]
    value = memoryview(dataset)[first.start : last.start + last.length]
    if not _hides_bits(value, layout, outside):
        return {}
    pattern = outside.to_bytes(layout.bits_allocated // 8, "little")
    return {index: PayloadEdit(index, cleared=pattern) for index in range(len(split.holes))}


def _hides_bits(value: memoryview, layout: PixelLayout, outside: int) -> bool:
    """Whether any bit outside the stored ones says something; the extension of a sign says nothing."""
    bits = layout.bits_allocated
    whole = len(value) - len(value) % (bits // 8)
    words = np.frombuffer(value[:whole], np.dtype(_WORDS[bits]).newbyteorder(">" if layout.swap else "<"))
    if layout.swap and layout.swap != bits // 8:
        return True  # words and cells differ in size: cleared on suspicion, the image itself is not touched
    if not layout.signed:
        return bool(_union(words) & outside)
    if not len(words):
        return False
    signed = words.astype(words.dtype.newbyteorder("="), copy=False).view(f"i{bits // 8}")
    limit = 1 << layout.high_bit  # what extends a sign is the same number in more bits
    if int(signed.min()) < -limit or int(signed.max()) >= limit:
        return True
    low = (1 << (layout.high_bit + 1 - layout.bits_stored)) - 1
    return low != 0 and bool(_union(words) & low)


def _union(words: _Words) -> int:
    """Return the OR of all words; read eight bytes at a time, for this pass looks at every pixel."""
    size = words.dtype.itemsize
    whole = words.nbytes // _LONG_WORD_BYTES * _LONG_WORD_BYTES // size
    union = int(np.bitwise_or.reduce(words[whole:])) if whole < len(words) else 0
    if whole:
        wide = int(np.bitwise_or.reduce(words[:whole].view(np.uint64)))
        lanes = wide.to_bytes(_LONG_WORD_BYTES, "little")
        order: Literal["big", "little"] = "big" if words.dtype.byteorder == ">" else "little"
        for start in range(0, _LONG_WORD_BYTES, size):
            union |= int.from_bytes(lanes[start : start + size], order)
    return union


def _compressed(dataset: Buffer, split: Split, transfer_syntax: str) -> Mapping[int, PayloadEdit] | None:
    if transfer_syntax in _BY_FRAGMENT:
        return _BY_FRAGMENT[transfer_syntax](dataset, split)
    rle = transfer_syntax == _RLE
    if transfer_syntax in _VIDEO or not (rle or _CODESTREAMS.fullmatch(transfer_syntax)):
        return None
    if not rle:
        return _edits(_codestreams(dataset, split, _begins), _metadata)
    layout = split.layout
    apart = _edits(_codestreams(dataset, split, lambda _fragment: True), lambda one: _rle(one, layout))
    if apart is not None or layout is None or layout.frames > 1:
        return apart
    # One frame in several fragments: against PS3.5 A.4.2, but written, and read by everybody.
    return _edits(_codestreams(dataset, split, lambda _fragment: False), lambda one: _rle(one, layout))


def _edits(
    codes: Iterable[Codestream], metadata: Callable[[memoryview], Ranges | None]
) -> Mapping[int, PayloadEdit] | None:
    edits: dict[int, PayloadEdit] = {}
    for code in codes:
        ranges = metadata(code.stream)
        if ranges is None:
            return None
        edits |= _by_fragment(code, ranges)
    return edits


def _encapsulated_native(dataset: Buffer, split: Split) -> Mapping[int, PayloadEdit] | None:
    """Edit fragments that are native frames (PS3.5 A.4.11)."""
    layout = split.layout
    if layout is None:
        return None
    frame_bytes = _frame_bytes(layout)
    edits = {}
    for index, hole in enumerate(split.holes):
        fragment = memoryview(dataset)[hole.start : hole.start + hole.length]
        if hole.length < frame_bytes or _begins(fragment):
            return None
        outside = _outside(layout)
        hides = outside != 0 and _hides_bits(fragment[:frame_bytes], layout, outside)
        cleared = outside.to_bytes(layout.bits_allocated // 8, "little") if hides else b""
        dropped = trailing(fragment, frame_bytes)
        if dropped or cleared:
            edits[index] = PayloadEdit(index, dropped, cleared)
    return edits


def _deflated_frames(dataset: Buffer, split: Split) -> Mapping[int, PayloadEdit] | None:
    """Edit fragments that are deflate streams of one native frame each (PS3.5 A.4.12)."""
    layout = split.layout
    if layout is None:
        return None
    frame_bytes = _frame_bytes(layout)
    edits = {}
    for index, hole in enumerate(split.holes):
        fragment = memoryview(dataset)[hole.start : hole.start + hole.length]
        inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        try:
            frame = inflater.decompress(fragment, frame_bytes + 1)
        except zlib.error:
            return None
        outside = _outside(layout)
        if (
            not inflater.eof
            or len(frame) != frame_bytes
            or (outside and _hides_bits(memoryview(frame), layout, outside))
        ):
            return None
        dropped = trailing(fragment, hole.length - len(inflater.unused_data))
        if dropped:
            edits[index] = PayloadEdit(index, dropped)
    return edits


def _frame_bytes(layout: PixelLayout) -> int:
    return (layout.rows * layout.columns * layout.samples * layout.bits_allocated + 7) // 8


def _outside(layout: PixelLayout) -> int:
    """Return the bits of a pixel cell outside the stored value; 0 where there are none to look at."""
    if layout.bits_allocated not in _WORDS:
        return 0
    stored = ((1 << layout.bits_stored) - 1) << (layout.high_bit + 1 - layout.bits_stored)
    return ~stored & ((1 << layout.bits_allocated) - 1)


def _metadata(stream: memoryview) -> Ranges | None:
    if is_jpeg(stream):
        return jpeg_metadata(stream)
    if is_jpeg2000(stream):
        return jpeg2000_metadata(stream)
    if is_jp2(stream):
        return jp2_metadata(stream)
    return None  # JPEG XL among others: its codestream may name channels and go on behind the image


def _rle(stream: memoryview, layout: PixelLayout | None) -> Ranges | None:
    if layout is None:
        return None
    # A segment holds a byte of every pixel, or of pixels of one bit as many as fill its bytes (PS3.5 G.2).
    size = (layout.rows * layout.columns * min(layout.bits_allocated, 8) + 7) // 8
    cell_bytes = (layout.bits_allocated + 7) // 8
    found = rle_metadata(stream, layout.samples * cell_bytes, size)
    hides = found is not None and _outside(layout) != 0 and _rle_hides_bits(stream, layout, size)
    return None if hides else found


def _rle_hides_bits(stream: memoryview, layout: PixelLayout, size: int) -> bool:
    """Whether bits outside the stored ones say something: runs would have to change to take them out."""
    planes = [plane[:size] for plane in rle_planes(stream)]
    cell_bytes = layout.bits_allocated // 8
    for first in range(0, len(planes), cell_bytes):
        cells = np.empty((size, cell_bytes), np.uint8)
        for place, plane in enumerate(planes[first : first + cell_bytes]):
            cells[:, cell_bytes - 1 - place] = np.frombuffer(plane, np.uint8)
        if _hides_bits(memoryview(cells.tobytes()), replace(layout, swap=0), _outside(layout)):
            return True
    return False


def _begins(fragment: memoryview) -> bool:
    """Whether a fragment begins a codestream; one that does not continues the one before it."""
    return is_jpeg(fragment) or is_jpeg2000(fragment) or is_jp2(fragment)


def _codestreams(dataset: Buffer, split: Split, begins: Callable[[memoryview], bool]) -> list[Codestream]:
    """Gather fragments into codestreams."""
    view = memoryview(dataset)
    gathered: list[tuple[int, list[memoryview]]] = []
    for index, hole in enumerate(split.holes):
        fragment = view[hole.start : hole.start + hole.length]
        if not gathered or begins(fragment):
            gathered.append((index, [fragment]))
        else:
            gathered[-1][1].append(fragment)
    return [
        Codestream(
            first, tuple(map(len, parts)), parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
        )
        for first, parts in gathered
    ]


def _by_fragment(code: Codestream, ranges: Ranges) -> dict[int, PayloadEdit]:
    """Cut ranges of a codestream at the borders of the fragments it lies in."""
    edits: dict[int, PayloadEdit] = {}
    begin = 0
    for index, length in enumerate(code.lengths, start=code.first):
        inside = tuple(
            (max(start, begin) - begin, min(start + size, begin + length) - max(start, begin))
            for start, size in ranges
            if start < begin + length and start + size > begin
        )
        if inside:
            edits[index] = PayloadEdit(index, dropped=inside)
        begin += length
    return edits


_BY_FRAGMENT: Mapping[str, Callable[[Buffer, Split], Mapping[int, PayloadEdit] | None]] = {
    "1.2.840.10008.1.2.1.98": _encapsulated_native,
    "1.2.840.10008.1.2.8.1": _deflated_frames,
}
