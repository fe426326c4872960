import zlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from deid.elements import Buffer
from deid.jpeg import Ranges, is_jpeg, jpeg_metadata, trailing
from deid.jpeg2000 import is_jpeg2000, jpeg2000_metadata
from deid.rle import rle_metadata
from deid.splice import PayloadEdit, PixelLayout, Split

_RLE = "1.2.840.10008.1.2.5"
_CODESTREAM_FAMILY = "1.2.840.10008.1.2.4."
# PS3.5 A.4: MPEG and HEVC carry user data between the pictures; nobody here reads those.
_VIDEO = frozenset(f"{_CODESTREAM_FAMILY}{number}" for number in (*range(100, 109), 1001, 1011, 1021, 1031))
_JPEG_XL = b"\xff\x0a"  # a bare codestream (ISO/IEC 18181-1); the box form may hold Exif and XML

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
    low = (1 << (layout.high_bit + 1 - layout.bits_stored)) - 1
    native = words.astype(words.dtype.newbyteorder("="))
    shift = bits - 1 - layout.high_bit
    signed = native.view(np.dtype(f"i{bits // 8}"))
    extended = np.right_shift(np.left_shift(signed, shift), shift)
    return bool(_union(native) & low) or not np.array_equal(extended, signed)


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
    if transfer_syntax in _VIDEO or not (rle or transfer_syntax.startswith(_CODESTREAM_FAMILY)):
        return None
    edits: dict[int, PayloadEdit] = {}
    for code in _codestreams(dataset, split, one_per_fragment=rle):
        ranges = _rle(code.stream, split.layout) if rle else _metadata(code.stream)
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
        if hole.length < frame_bytes:
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
    return () if bytes(stream[:2]) == _JPEG_XL else None


def _rle(stream: memoryview, layout: PixelLayout | None) -> Ranges | None:
    return None if layout is None else rle_metadata(stream, layout.rows * layout.columns)


def _codestreams(dataset: Buffer, split: Split, *, one_per_fragment: bool) -> list[Codestream]:
    """Gather fragments into codestreams: a fragment that does not begin one continues the one before it."""
    view = memoryview(dataset)
    gathered: list[tuple[int, list[memoryview]]] = []
    for index, hole in enumerate(split.holes):
        fragment = view[hole.start : hole.start + hole.length]
        begins = one_per_fragment or is_jpeg(fragment) or is_jpeg2000(fragment)
        if begins or not gathered or bytes(fragment[:2]) == _JPEG_XL:
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
