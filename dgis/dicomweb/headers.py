"""Where headers come from: the record's own header blocks, or an original read whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from catalog.retrieve import InstanceRef
from deid.elements import Encoding, detect_encoding
from dgis.dicomweb.described import Header
from dgis.dicomweb.images import Images, Transfer
from dgis.dicomweb.laid import Laid, Read, laid_out
from dgis.dicomweb.multipart import Buffer
from dgis.retriever.outgoing import Sendable
from dgis.retriever.ranges import NoRangesError, Ranged
from dgis.retriever.records import Record
from dgis.spooled import spooled
from dgis.transcode.syntaxes import EXPLICIT_LITTLE_ENDIAN, NATIVE
from storage_nodes.names import RecordKey
from storage_nodes.record.reader import RecordReader

_IN_MEMORY_BYTES = 16 << 20
_MANY = 2  # headers of one record that are worth reading all of them at once
_FIRST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Placed:
    """A de-identified instance: its record, and its place in it."""

    record: Record
    position: int


@dataclass(slots=True)
class Opening:
    """Opens what one request reads; each record once."""

    images: Images
    many: bool = False
    _record: Callable[[RecordKey], Record] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._record = cache(self._opened)

    def placed(self, ref: InstanceRef) -> Placed | None:
        """Return where a de-identified instance lies; None for originals.

        Raises:
            NotHere: the index knows of no such record.
        """
        if ref.original or ref.record_key is None or ref.position is None:
            return None
        return Placed(self._record(RecordKey(ref.record_key)), ref.position)

    def header(self, ref: InstanceRef, instance: Sendable) -> Header:
        """Return the header of an instance.

        Raises:
            NotHere, KeyholderGone, OSError: it cannot be had now.
            deid.elements.WalkError, dgis.transcode.errors.TranscodeError: it is no well-formed data set.
        """
        placed = self.placed(ref)
        if placed is None:
            data, encoding = self.whole(instance)
            return Header([data], encoding)

        def ask(reader: RecordReader) -> Header:
            before, after = reader.before_after(placed.position)
            element = reader.instances[placed.position].element
            pixel = None if element is None else (element.tag, element.vr)
            return Header([before, after], Encoding.EXPLICIT_LE, pixel)

        return placed.record.ask(ask)

    def whole(self, instance: Sendable) -> tuple[Buffer, Encoding]:
        """Return a data set in little endian, deflated no more; a huge one in a file without a name."""
        native = instance.transfer_syntax in NATIVE and instance.transfer_syntax != EXPLICIT_LITTLE_ENDIAN
        transcoder = self.images.transcoder
        pieces = transcoder.convert(instance, EXPLICIT_LITTLE_ENDIAN) if native else instance.open()
        if (instance.length or 0) <= _IN_MEMORY_BYTES and not native:
            data: Buffer = b"".join(pieces)
        else:
            data = spooled(pieces, self.images.scratch)
        return data, detect_encoding(bytes(data[:_FIRST_BYTES]), Encoding.EXPLICIT_LE)

    def laid(self, instance: Sendable) -> Laid | None:
        """Return where the frames of an original lie; None where only the whole of it tells.

        Raises:
            OSError: it cannot be had now.
            NoFramesError: it has none.
            deid.elements.WalkError, dgis.transcode.errors.TranscodeError: it is no well-formed data set.
        """
        ranges = instance.ranges
        if ranges is None:
            return None
        make = partial(laid_out, ranges.read, ranges.length, instance.transfer_syntax)
        try:
            return self.images.laid.get(ranges.name, make).known
        except NoRangesError:
            return None

    def ranges(self, instance: Sendable) -> Read:
        """Return what reads parts of an original as it was sent, for whoever has found that it is `laid`."""
        assert instance.ranges is not None, "the caller has asked"
        return _Parts(instance, instance.ranges, self.images.scratch).read

    def _opened(self, key: RecordKey) -> Record:
        record = self.images.shelf.record(key)
        if self.many:
            record.ask(lambda reader: reader.read_headers())
        return record


@dataclass(slots=True)
class _Parts:
    """Parts of an original; the whole is fetched where the cache lets go of it between two of them."""

    instance: Sendable
    ranged: Ranged
    scratch: Path | None
    whole: memoryview | None = field(default=None, repr=False)

    def read(self, start: int, length: int) -> Buffer:
        if self.whole is None:
            try:
                return self.ranged.read(start, length)
            except NoRangesError:
                self.whole = spooled(self.instance.open(), self.scratch)
        return self.whole[start : start + length]


def each_header(images: Images, transfer: Transfer) -> Iterator[tuple[InstanceRef, Sendable, Opening]]:
    """Yield the instances of a transfer with what opens their headers."""
    opening = Opening(images, many=len(transfer.refs) >= _MANY)
    for ref, instance in transfer.each():
        yield ref, instance, opening
