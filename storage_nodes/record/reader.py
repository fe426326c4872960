from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from storage_nodes.record import element, opening
from storage_nodes.record.codecs.choose import COLOUR_TRANSFORM, RPCL, SERVABLE
from storage_nodes.record.codecs.decode import check_digest, decode_payload
from storage_nodes.record.headers import open_block
from storage_nodes.record.index import Index, InstanceEntry, PayloadEntry
from storage_nodes.record.limits import DEFAULT_LIMITS, MIB, Limits
from storage_nodes.record.manifest import Manifest
from storage_nodes.record.sources import Source
from storage_nodes.record.summary import RecordSummary, summarise
from storage_nodes.record.values import (
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    Buffer,
    Codec,
    Extent,
    RecordLayout,
)
from storage_nodes.record.window import Window

_HEADERS_AT_ONCE_BYTES: Final = 16 * MIB
_AHEAD_WITHIN_INSTANCE_BYTES: Final = MIB
"""Frames of one instance are read together up to here: a ranged read costs a node about as much."""


@dataclass(frozen=True, slots=True)
class ServedAs:
    """The data set that may carry codestreams as they lie.

    Attributes:
        photometric: what its header must state, with planar configuration 0 where it has 3 samples;
            None where the header stands as it is.
    """

    transfer_syntax: str
    photometric: str | None


@dataclass(frozen=True, slots=True)
class Codestream:
    """A payload as it lies, its digest checked.

    Attributes:
        served_as: None where a viewer cannot take it so, and it has to be decoded.
    """

    codec: Codec
    data: Buffer = field(repr=False)
    decoded_bytes: int
    served_as: ServedAs | None


class RecordReader:
    """Reads a record by ranges and believes nothing in it (FORMAT.md "What a reader refuses").

    One instance costs the opening, its header block and its frames. Several threads may share a reader as
    far as they may share its source. Every method raises DamagedRecordError where bytes are not what was
    written.

    Args:
        source: the object.
        layout: from the replica row: opens with one read and vouches for the index.
        limits: what may be held in memory at once.
        read_ahead_bytes: read so much at a time, for callers that go through the whole record.

    Raises:
        DamagedRecordError: the copy is not whole.
        UnsupportedRecordError: written by a later build.
        RecordTooLargeError: it asks for more than `limits` or any writer allows.
    """

    def __init__(
        self,
        source: Source,
        layout: RecordLayout | None = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
        read_ahead_bytes: int = 0,
    ) -> None:
        self._window = Window(source)
        self._size = source.size
        self._limits = limits
        self._read_ahead_bytes = read_ahead_bytes
        self._inflated: tuple[int, bytes] = (-1, b"")
        manifest = None
        if layout is None:
            manifest, layout = opening.read_manifest(self._window, self._size)
        else:
            opening.check_layout(layout, self._size)
        self._layout = layout
        self._index = opening.read_index(self._window, layout, limits)
        if manifest is not None:
            opening.check_manifest(manifest, layout, self._index)
        self._manifest = manifest

    @property
    def manifest(self) -> Manifest:
        """What the record says of itself; one more read where it was opened by a layout."""
        if self._manifest is None:
            manifest, _ = opening.read_manifest(self._window, self._size)
            opening.check_manifest(manifest, self._layout, self._index)
            self._manifest = manifest
        return self._manifest

    @property
    def layout(self) -> RecordLayout:
        """Where its parts lie."""
        return self._layout

    @property
    def index(self) -> Index:
        """All entries."""
        return self._index

    @property
    def instances(self) -> Sequence[InstanceEntry]:
        """The instances, in the order in which they were packed."""
        return self._index.instances

    @property
    def summary(self) -> RecordSummary:
        """Counts and bytes."""
        return summarise(self._index, self._size)

    def header(self, instance: int) -> tuple[bytes, bytes, bytes]:
        """Give the data elements before the pixel element, the basic offset table, the elements after it."""
        entry = self.instances[instance]
        block, start = self._index.header_places[instance]
        inflated = self._block(block)
        middle = start + entry.before_bytes
        after = middle + entry.offset_table_bytes
        return inflated[start:middle], inflated[middle:after], inflated[after : start + entry.header_bytes]

    def before_after(self, instance: int) -> tuple[bytes, bytes]:
        """Give the data elements before and after the pixel element, Explicit VR Little Endian."""
        before, _, after = self.header(instance)
        return before, after

    def read_headers(self) -> None:
        """Read all headers with one read, for who asks for many of them; more than can be held are left."""
        if self._layout.headers.length <= _HEADERS_AT_ONCE_BYTES:
            self._window.read(self._layout.headers)

    def payload(self, instance: int, number: int) -> Buffer:
        """Give one native frame (little endian, no padding) or one fragment as it was packed."""
        place, entry = self._payload_entry(instance, number)
        return self._decoded(instance, entry, self._read_frame(place, place.start + self._read_ahead_bytes))

    def codestream(self, instance: int, number: int) -> Codestream:
        """Give one payload as it lies, with what a viewer must be told to take it so."""
        place, entry = self._payload_entry(instance, number)
        body = self._read_frame(place, place.start + self._read_ahead_bytes)
        check_digest(body, entry)
        served_as = _served_as(self.instances[instance], entry.flags)
        return Codestream(entry.codec, body, entry.decoded_bytes, served_as)

    def served_as(self, instance: int) -> ServedAs | None:
        """Tell which data set may carry all payloads of an instance as they lie; None where there is none."""
        flags = self._index.payloads.columns["flags"][self._own(instance)]
        return _served_as(self.instances[instance], int(np.bitwise_and.reduce(flags)) if len(flags) else 0)

    def payload_lengths(self, instance: int) -> list[int]:
        """Tell how long the payloads of an instance are decoded, bytes."""
        lengths: list[int] = self._index.payloads.columns["decoded_bytes"][self._own(instance)].tolist()
        return lengths

    def dataset_length(self, instance: int) -> int:
        """Tell the length of the whole data set, bytes, from the index alone."""
        entry = self.instances[instance]
        around = entry.before_bytes + entry.after_bytes
        if entry.element is None:
            return around
        return around + element.element_length(
            entry.element, entry.offset_table_bytes, self._lengths(instance)
        )

    def dataset(self, instance: int) -> Iterator[Buffer]:
        """Give the whole de-identified data set, Explicit VR Little Endian, piece by piece.

        Each frame is checked before it is given; what was given before a damaged one stays given, so a caller
        that cannot take bytes back begins to send only when it may also break off.
        """
        entry = self.instances[instance]
        before, offset_table, after = self.header(instance)
        yield before
        if entry.element is not None:
            lengths = self._lengths(instance)
            yield element.opening(entry.element, offset_table, lengths)
            for payload in self._payloads(instance):
                if entry.element.encapsulated:
                    yield element.item_header(len(payload))
                yield payload
                if entry.element.encapsulated and len(payload) % 2:
                    yield element.PADDING
            yield element.closing(entry.element, lengths)
        yield after

    def _payloads(self, instance: int) -> Iterator[Buffer]:
        last = int(self._index.payload_starts[self._own(instance).stop])
        end = self._layout.frames.start + last
        for number in range(self.instances[instance].payloads):
            place, entry = self._payload_entry(instance, number)
            near = min(end, place.start + _AHEAD_WITHIN_INSTANCE_BYTES)
            body = self._read_frame(place, max(near, place.start + self._read_ahead_bytes))
            yield self._decoded(instance, entry, body)

    def _decoded(self, instance: int, entry: PayloadEntry, body: Buffer) -> Buffer:
        kind = self.instances[instance].element
        return decode_payload(body, entry, None if kind is None else kind.layout)

    def _payload_entry(self, instance: int, number: int) -> tuple[Extent, PayloadEntry]:
        if not 0 <= number < self.instances[instance].payloads:
            raise IndexError("no such payload")
        place = self._own(instance).start + number
        entry = self._index.payloads[place]
        start = self._layout.frames.start + int(self._index.payload_starts[place])
        return Extent(start, entry.stored_bytes), entry

    def _read_frame(self, place: Extent, ahead_to: int) -> Buffer:
        return self._window.read(place, min(ahead_to, self._layout.frames.end))

    def _block(self, number: int) -> bytes:
        held, inflated = self._inflated
        if held != number:
            entry = self._index.blocks[number]
            start = self._layout.headers.start + self._index.block_starts[number]
            body = self._window.read(Extent(start, entry.stored_bytes))
            inflated = open_block(body, entry, self._limits)
            self._inflated = (number, inflated)
        return inflated

    def _lengths(self, instance: int) -> element.Lengths:
        lengths = self._index.payloads.columns["decoded_bytes"][self._own(instance)]
        return element.Lengths(
            len(lengths), int(np.count_nonzero(lengths & 1)), int(lengths.sum(dtype=np.int64))
        )

    def _own(self, instance: int) -> slice:
        number = range(len(self.instances))[instance]
        return slice(self._index.first_payloads[number], self._index.first_payloads[number + 1])


def _served_as(entry: InstanceEntry, flags: int) -> ServedAs | None:
    if entry.element is None or entry.element.encapsulated:
        return ServedAs(entry.transfer_syntax, None)
    if not flags & SERVABLE or entry.element.layout is None:
        return None
    syntax = HTJ2K_LOSSLESS_RPCL if flags & RPCL else HTJ2K_LOSSLESS
    return ServedAs(syntax, "YBR_RCT" if flags & COLOUR_TRANSFORM else None)
