"""Frames of one instance: as they lie in the record where that is taken, else native (PS3.18 10.4.1.1.4).

Of a record only the frames asked for are read; and of a large original in the cache, once it was compared
with its digest (`dgis.retriever.ranges`). A small one is read whole; out of its seal it comes whole or not.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import Protocol

import numpy as np

from catalog.retrieve import InstanceRef
from deid.elements import UNDEFINED, Element, Encoding, elements, items
from dgis.dicomweb.described import PIXELS
from dgis.dicomweb.headers import Opening, Placed
from dgis.dicomweb.image import Image, NoFramesError
from dgis.dicomweb.laid import Laid, Read, Streams
from dgis.dicomweb.multipart import Buffer
from dgis.retriever.outgoing import Sendable
from dgis.transcode.errors import TranscodeError
from dgis.transcode.fragments import codestreams
from dgis.transcode.limits import Limits
from dgis.transcode.source import Source
from dgis.transcode.syntaxes import CODECS, EXPLICIT_LITTLE_ENDIAN, targets_of
from dgis.transcode.transcoder import GatewayTranscoder
from storage_nodes.record.reader import RecordReader

_PIXEL_DATA = 0x7FE00010
_BITS = 8
_ITEM = struct.Struct("<HHI")
_END = _ITEM.pack(0xFFFE, 0xE0DD, 0)


class Frames(Protocol):
    """The frames of one instance; numbers from 0."""

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def stored(self) -> tuple[str, ...]:
        """The transfer syntaxes a frame is had in without conversion, as it lies first."""

    def as_stored(self, number: int) -> Buffer:
        """Return one frame in `stored[0]`."""

    def native(self, number: int) -> Buffer:
        """Return one frame in explicit VR little endian.

        Raises:
            TranscodeError: it cannot be had so.
        """


def frames_of(opening: Opening, ref: InstanceRef, instance: Sendable) -> Frames:
    """Open the frames of an instance.

    Raises:
        NoFramesError: it has none.
        NotHere, KeyholderGone, OSError: it cannot be had now.
        deid.elements.WalkError, dgis.transcode.errors.TranscodeError: it is no well-formed data set.
    """
    placed = opening.placed(ref)
    if placed is not None:
        found = _in_record(opening.images.transcoder, placed)
        if found is not None:
            return found
    laid = opening.laid(instance)
    if laid is not None:
        return _in_ranges(opening, laid, instance)
    data, encoding = opening.whole(instance)
    return _in_data_set(opening.images.transcoder, instance.transfer_syntax, data, encoding)


@dataclass(frozen=True, slots=True)
class NativeFrames:
    """Uncompressed pixels of an original, one frame after another."""

    part: Callable[[int, int], Buffer] = field(repr=False)  # bytes of the pixels, from one to another
    count: int
    bits: int
    stored: tuple[str, ...] = (EXPLICIT_LITTLE_ENDIAN,)

    def as_stored(self, number: int) -> Buffer:
        """Return one frame."""
        return self.native(number)

    def native(self, number: int) -> Buffer:
        """Return one frame; frames of single bits need not begin with a byte (PS3.5 8.1.1)."""
        start, stop = number * self.bits, (number + 1) * self.bits
        if self.bits % _BITS == 0:
            return self.part(start // _BITS, stop // _BITS)
        around = np.frombuffer(self.part(start // _BITS, -(-stop // _BITS)), np.uint8)
        skipped = start % _BITS
        cells = np.unpackbits(around, bitorder="little")[skipped : skipped + self.bits]
        return np.packbits(cells, bitorder="little").tobytes()


@dataclass(frozen=True, slots=True)
class CompressedFrames:
    """Codestreams of an original."""

    transcoder: GatewayTranscoder = field(repr=False)
    image: Image = field(repr=False)
    streams: Sequence[Buffer] = field(repr=False)
    syntax: str

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.streams)

    @property
    def stored(self) -> tuple[str, ...]:
        """As it lies."""
        return (self.syntax,)

    def as_stored(self, number: int) -> Buffer:
        """Return one codestream."""
        return self.streams[number]

    def native(self, number: int) -> Buffer:
        """Decode one codestream."""
        return decoded(self.transcoder, self.image, self.streams[number], self.syntax)


@dataclass(frozen=True, slots=True)
class RecordFrames:
    """Frames in a record: native ones recoded without loss, or codestreams as they came."""

    transcoder: GatewayTranscoder = field(repr=False)
    placed: Placed
    image: Image = field(repr=False)
    payloads: Sequence[Sequence[int]] = field(repr=False)  # of each frame
    stored: tuple[str, ...]
    encapsulated: bool

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.payloads)

    def as_stored(self, number: int) -> Buffer:
        """Return one frame as it lies."""
        if self.encapsulated:
            return self._joined(number)
        if self.stored[0] == EXPLICIT_LITTLE_ENDIAN:
            return self.native(number)
        position, place = self.placed.position, self.payloads[number][0]
        return self.placed.record.ask(lambda reader: reader.codestream(position, place)).data

    def native(self, number: int) -> Buffer:
        """Return one frame decoded."""
        if not self.encapsulated:
            return self.placed.record.payload(self.placed.position, self.payloads[number][0])
        return decoded(self.transcoder, self.image, self._joined(number), self.stored[0])

    def _joined(self, number: int) -> Buffer:
        record, position = self.placed.record, self.placed.position
        parts = [record.payload(position, each) for each in self.payloads[number]]
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _in_record(transcoder: GatewayTranscoder, placed: Placed) -> RecordFrames | None:
    """Open frames in a record; None where only the whole data set tells them apart."""
    position = placed.position

    def look(reader: RecordReader) -> RecordFrames | None:
        entry = reader.instances[position]
        before, table, _after = reader.header(position)
        if entry.element is None or not entry.payloads:
            raise NoFramesError("the instance has no pixels")
        image = Image.of(before)
        if entry.element.encapsulated:
            groups = _grouped(image.count, entry.payloads, table, reader.payload_lengths(position))
            stored: tuple[str, ...] = (entry.transfer_syntax,)
        else:
            one_by_one = entry.payloads == image.count and image.frame_bits % _BITS == 0
            groups = [(number,) for number in range(image.count)] if one_by_one else None
            served = reader.served_as(position)
            compressed = () if served is None else (served.transfer_syntax,)
            stored = (*compressed, EXPLICIT_LITTLE_ENDIAN)
        if groups is None:
            return None
        return RecordFrames(transcoder, placed, image, groups, stored, entry.element.encapsulated)

    return placed.record.ask(look)


def _grouped(
    count: int, fragments: int, table: bytes, lengths: Sequence[int]
) -> Sequence[Sequence[int]] | None:
    """Return the fragments of each frame; None where neither their number nor the offset table says."""
    if count == fragments:
        return [(number,) for number in range(count)]
    if count == 1:
        return [range(fragments)]
    starts = list(accumulate((_ITEM.size + length + length % 2 for length in lengths), initial=0))
    offsets = [offset for (offset,) in struct.iter_unpack("<I", table[: len(table) & ~3])]
    known = {start: number for number, start in enumerate(starts[:-1])}
    places = [known.get(offset, -1) for offset in offsets]
    if len(places) != count or places[0] != 0 or places != sorted(set(places)):
        return None
    return [range(first, last) for first, last in zip(places, [*places[1:], fragments], strict=True)]


def _in_ranges(opening: Opening, laid: Laid, instance: Sendable) -> Frames:
    read = opening.ranges(instance)
    if laid.spans is None:
        part = partial(_between, read, laid.value)
        return NativeFrames(part, laid.image.count, laid.image.frame_bits)
    streams = Streams(read, laid.spans)
    return CompressedFrames(opening.images.transcoder, laid.image, streams, instance.transfer_syntax)


def _between(read: Read, base: int, start: int, stop: int) -> Buffer:
    return read(base + start, stop - start)


def _in_data_set(transcoder: GatewayTranscoder, syntax: str, data: Buffer, encoding: Encoding) -> Frames:
    element = next((each for each in elements(data, encoding) if each.tag in PIXELS), None)
    if element is None or encoding is not Encoding.EXPLICIT_LE:
        raise NoFramesError("the instance has no pixels, or says in no known way where they are")
    image = Image.of(data[: element.start])
    if element.length != UNDEFINED:
        value = memoryview(data)[element.value : element.value_end]
        if not image.frame_bits or image.frame_bits * image.count > len(value) * _BITS:
            raise NoFramesError("its header does not describe its pixels")
        return NativeFrames(lambda start, stop: value[start:stop], image.count, image.frame_bits)
    return CompressedFrames(transcoder, image, _codestreams(data, element, syntax, image.count), syntax)


def _codestreams(data: Buffer, element: Element, syntax: str, count: int) -> Sequence[Buffer]:
    fragments = [
        memoryview(data)[each.start : each.stop] for each in items(data, element, Encoding.EXPLICIT_LE)
    ]
    del fragments[:1]  # the basic offset table
    codec = CODECS.get(syntax)
    if len(fragments) == count:
        return fragments
    if codec is None:
        raise NoFramesError("its frames cannot be told apart")
    whole = Source([memoryview(data)[element.value : element.end]])
    return list(codestreams(whole, codec, count, Limits().codestream_bytes))


@dataclass(frozen=True, slots=True)
class _OneFrame:
    """A data set of one frame and of nothing that says whose it is."""

    transfer_syntax: str
    data: bytes = field(repr=False)
    sop_class_uid: str = ""
    sop_instance_uid: str = ""

    @property
    def length(self) -> int:
        """Bytes of it."""
        return len(self.data)

    def open(self) -> Iterator[Buffer]:
        """Yield it."""
        yield self.data


def decoded(transcoder: GatewayTranscoder, image: Image, stream: Buffer, syntax: str) -> Buffer:
    """Decode one frame, in a child process as all that is foreign.

    Raises:
        TranscodeError: it cannot be.
    """
    if EXPLICIT_LITTLE_ENDIAN not in targets_of(syntax):
        raise TranscodeError("no such conversion")
    padded = bytes(stream) + b"\0" * (len(stream) % 2)
    opened = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + _ITEM.pack(0xFFFE, 0xE000, 0)
    fragment = _ITEM.pack(0xFFFE, 0xE000, len(padded)) + padded
    whole = _OneFrame(syntax, image.described + opened + fragment + _END)
    native = b"".join(transcoder.convert(whole, EXPLICIT_LITTLE_ENDIAN))
    element = next(each for each in elements(native, Encoding.EXPLICIT_LE) if each.tag == _PIXEL_DATA)
    after = Image.of(native[: element.start])
    return memoryview(native)[element.value : element.value + -(-after.frame_bits // _BITS)]
