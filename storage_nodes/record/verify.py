import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from storage_nodes.record import skeleton
from storage_nodes.record.codecs.choose import crc32
from storage_nodes.record.codecs.decode import decode_payload
from storage_nodes.record.errors import DamagedRecordError, RecordError, UnsupportedRecordError
from storage_nodes.record.headers import open_block
from storage_nodes.record.limits import DEFAULT_LIMITS, MIB, Limits
from storage_nodes.record.manifest import decode_manifest
from storage_nodes.record.opening import check_manifest
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import Source
from storage_nodes.record.summary import RecordSummary
from storage_nodes.record.values import Buffer, Extent, RecordLayout
from storage_nodes.record.window import Window

_STRIDE_BYTES: Final = 4 * MIB


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written.

    Attributes:
        entry: `manifest`, `index`, `headers` or `frames`; `zip` for the structure around them; `record` where
            it does not open.
        number: the header block or payload, where one is meant.
    """

    entry: str
    number: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class RecordReport:
    """What a whole look at a record found.

    Attributes:
        sha256: of the whole object as it was read; None where it does not open.
        summary: counts and bytes; None where it does not open.
        problems: none for a whole record.
    """

    size: int
    sha256: bytes | None
    summary: RecordSummary | None
    problems: tuple[Problem, ...]

    @property
    def whole(self) -> bool:
        """Whether every byte, digest and decoding is as written."""
        return not self.problems


def verify_record(
    source: Source, layout: RecordLayout | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> RecordReport:
    """Read a whole record once, front to back: structure, every digest, every decoding.

    A digest tells rot, not intent: a record of unknown origin belongs in a process with limits (FORMAT.md).

    Raises:
        UnsupportedRecordError: written by a later build, of which nothing can be said.
        OSError: or whatever else `source` raises where it cannot be read.
    """
    try:
        reader = RecordReader(source, layout, limits=limits)
        return _Look(source, reader, limits).report()
    except UnsupportedRecordError:
        raise
    except RecordError as problem:
        return RecordReport(source.size, None, None, (Problem("record", None, str(problem)),))


class _Look:
    """One pass over all bytes: each is hashed, summed and checked while it is at hand."""

    def __init__(self, source: Source, reader: RecordReader, limits: Limits) -> None:
        self._window = Window(source)
        self._reader = reader
        self._limits = limits
        self._size = source.size
        self._position = 0
        self._digest = hashlib.sha256()
        self._problems: list[Problem] = []

    def report(self) -> RecordReport:
        """Look at everything."""
        contents = (
            self._content("manifest", self._manifest()),
            self._content("index", self._index()),
            self._content("headers", self._headers()),
            self._content("frames", self._frames()),
        )
        if self._take(self._size - self._position) != skeleton.trailer(contents):
            self._note("zip", None, "the central directory is not that of these contents")
        return RecordReport(self._size, self._digest.digest(), self._reader.summary, tuple(self._problems))

    def _content(self, name: str, pieces: Iterator[Buffer]) -> skeleton.Content:
        header = self._take(skeleton.LOCAL_HEADER_BYTES[name])
        start, checksum = self._position, 0
        for piece in pieces:
            checksum = crc32(piece, checksum)
        content = skeleton.Content(self._position - start, checksum)
        if header != skeleton.local_header(name, content):
            self._note("zip", None, f"the header of {name} is not that of its content")
        return content

    def _manifest(self) -> Iterator[Buffer]:
        text = self._take(
            self._reader.layout.index.start - skeleton.LOCAL_HEADER_BYTES["index"] - self._position
        )
        yield text
        try:
            check_manifest(decode_manifest(bytes(text)), self._reader.layout, self._reader.index)
        except DamagedRecordError as problem:
            self._note("manifest", None, str(problem))

    def _index(self) -> Iterator[Buffer]:
        entry = self._take(self._reader.layout.index.length)
        yield entry
        if hashlib.sha256(entry).digest() != self._reader.layout.index_sha256:
            self._note("index", None, "the index reads differently a second time")

    def _headers(self) -> Iterator[Buffer]:
        for number, block in enumerate(self._reader.index.blocks):
            body = self._take(block.stored_bytes)
            yield body
            try:
                open_block(body, block, self._limits)
            except DamagedRecordError as problem:
                self._note("headers", number, str(problem))

    def _frames(self) -> Iterator[Buffer]:
        index = self._reader.index
        for instance, first in zip(index.instances, index.first_payloads, strict=False):
            layout = None if instance.element is None else instance.element.layout
            for number in range(first, first + instance.payloads):
                entry = index.payloads[number]
                body = self._take(entry.stored_bytes)
                yield body
                try:
                    decode_payload(body, entry, layout)
                except DamagedRecordError as problem:
                    self._note("frames", number, str(problem))

    def _take(self, length: int) -> Buffer:
        extent = Extent(self._position, length)
        data = self._window.read(extent, ahead_to=self._position + _STRIDE_BYTES)
        self._digest.update(data)
        self._position = extent.end
        return data

    def _note(self, entry: str, number: int | None, reason: str) -> None:
        self._problems.append(Problem(entry, number, reason))
