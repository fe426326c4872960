"""One instance on its way into the log, in bounded memory."""

import errno
import hashlib
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self
from zlib import crc32

import structlog

from dgis import failpoints
from dgis.cache.layout import BLOCK, ENTRY_FIXED_BYTES, EntryHeader, pack_entry_head, whole_blocks
from dgis.cache.segment import Segment
from dgis.cache.values import RefusalReason, Refused, Stored

CHUNK_BYTES = 1 << 20  # one write to the file; also what an association needs of memory

Buffer = bytes | bytearray | memoryview

_log = structlog.get_logger(__name__)
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Room(Protocol):
    """Who says whether there is room for more bytes."""

    def refusal(self, wanted_bytes: int) -> Refused | None:
        """Return why not, or None."""


class Entry:
    """Takes the data set of one instance as it arrives; the log has it from `commit` on, or never.

    The head is written last, over blocks that were left out: bytes without a head are nothing. For one
    thread. After a refusal further bytes are passed over, so that a door may drain what the peer still sends.
    """

    def __init__(
        self,
        segment: Segment,
        meta: bytes,
        chunk: bytearray,
        room: Room,
        done: Callable[[Stored | None], None],
    ) -> None:
        self._segment = segment
        self._meta = meta
        self._chunk = memoryview(chunk)
        self._room = room
        self._done = done
        self._position = segment.tail
        self._written = 0  # bytes of the entry that left the chunk, whole blocks
        self._fill = ENTRY_FIXED_BYTES + len(meta)  # the head's place
        self._first: bytes | None = None  # the blocks the head ends in, once the chunk was needed for more
        self._length = 0
        self._digest = hashlib.sha256()
        self._refused: Refused | None = None
        self._open = True

    def write(self, data: Buffer) -> Refused | None:
        """Take the next bytes of the data set; a refusal says that this instance will not be kept."""
        left = memoryview(data).cast("B")
        if self._refused is None:
            self._digest.update(left)
            self._length += len(left)
        while left and self._refused is None:
            part = left[: len(self._chunk) - self._fill]
            self._chunk[self._fill : self._fill + len(part)] = part
            self._fill += len(part)
            left = left[len(part) :]
            if self._fill == len(self._chunk):
                self._flush()
        return self._refused

    def commit(self) -> Stored | Refused:
        """Make the instance durable; the commit point is the return of fdatasync.

        A crash before it leaves blocks the log does not know, or a whole entry nobody was told of; a crash
        after it leaves the entry, which recovery finds.
        """
        if not self._open:
            raise RuntimeError("the entry is closed")
        header = self._header()
        if self._refused is None:
            self._attempt(lambda: self._write_rest(header))
        if self._refused is None:
            failpoints.hit("cache.before_fsync")
            self._attempt(self._segment.sync)
        if self._refused is not None:
            self.abandon()
            return self._refused
        failpoints.hit("cache.after_fsync")
        location = header.location(self._segment.id)
        self._segment.advance(location)
        stored = Stored(location)
        self._close(stored)
        return stored

    def abandon(self) -> None:
        """Forget the bytes; the next entry takes their place. Nothing happens after `commit`."""
        if not self._open:
            return
        if self._refused is not None and not self._segment.failed:
            self._attempt(self._segment.give_back)
        self._close(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def _close(self, stored: Stored | None) -> None:
        self._open = False
        self._chunk.release()
        self._done(stored)

    def _header(self) -> EntryHeader:
        return EntryHeader(
            epoch=self._segment.epoch,
            sequence=self._segment.sequence,
            position=self._position,
            length=self._length,
            meta_length=len(self._meta),
            sha256=self._digest.digest(),
            meta_crc=crc32(self._meta),
        )

    def _flush(self) -> None:
        self._attempt(self._write_chunk)
        failpoints.hit("cache.half_body")

    def _write_chunk(self) -> None:
        """Write the full chunk, without the blocks the head goes into."""
        skip = 0
        if self._first is None:
            skip = whole_blocks(ENTRY_FIXED_BYTES + len(self._meta))
            self._first = bytes(self._chunk[:skip])
        if self._ask(self._fill):
            self._segment.write(self._position + self._written + skip, self._chunk[skip : self._fill])
            self._written += self._fill
            self._fill = 0

    def _write_rest(self, header: EntryHeader) -> None:
        """Write what the chunk still holds and the head; small instances are one single write."""
        end = whole_blocks(self._fill)
        if not self._ask(end):
            return
        self._chunk[self._fill : end] = bytes(
            end - self._fill
        )  # never a partial block: no read, no stale bytes
        head = pack_entry_head(header, self._meta)
        if self._first is None:
            self._chunk[: len(head)] = head
            self._segment.write(self._position, self._chunk[:end])
            return
        self._segment.write(self._position + self._written, self._chunk[:end])
        self._segment.write(self._position, memoryview(head + self._first[len(head) :]))

    def _ask(self, wanted_bytes: int) -> bool:
        self._refused = self._room.refusal(wanted_bytes)
        return self._refused is None

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            full = error.errno in FULL
            self._refused = Refused(RefusalReason.NO_SPACE if full else RefusalReason.STORAGE_FAILED)
            _log.warning(
                "cache_write_failed", segment=self._segment.id, errno=errno.errorcode.get(error.errno or 0)
            )
            if not full:
                self._segment.failed = True


assert CHUNK_BYTES % BLOCK == 0  # a full chunk ends on a block
