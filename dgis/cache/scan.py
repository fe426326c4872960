"""Reading the entries of a segment back: for the index while the log is written, and after a crash."""

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from zlib import crc32

from dgis.cache.layout import (
    BLOCK,
    ENTRY_FIXED_BYTES,
    EntryHeader,
    entry_mark,
    unpack_entry_header,
    unpack_meta,
)
from dgis.cache.values import Location, StoreMeta

_HEAD_BYTES = 2048  # fixed header and a usual meta in one read
_STRIDE_BYTES = 1 << 20

_NOTHING_KNOWN = unpack_meta(b"{}")


class Condition(Enum):
    """What an entry's bytes turned out to be."""

    WHOLE = "whole"
    DAMAGED = "damaged"  # the head is whole, meta or data set do not match their checksums


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of the log as it was read back."""

    location: Location
    meta: StoreMeta
    condition: Condition


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a segment, between two block positions, that may hold entries of one epoch."""

    segment_id: str
    epoch: bytes
    start: int
    stop: int


def entries(descriptor: int, stretch: Stretch, *, verify: bool) -> Iterator[Found]:
    """Yield the entries of a stretch, in order.

    Where no entry stands, the next one is searched for: a block that rotted, or the hole of an evicted
    instance, does not hide what lies behind it. `verify` re-reads every data set and compares its SHA-256.

    Raises:
        OSError: the file cannot be read.
    """
    position = stretch.start
    while position + BLOCK <= stretch.stop:
        found = entry_at(descriptor, stretch, position)
        if found is None:
            position = _next_candidate(descriptor, stretch.epoch, position + BLOCK, stretch.stop)
            continue
        position = found.location.end
        if verify and data_digest(descriptor, found.location) != found.location.sha256:
            found = replace(found, condition=Condition.DAMAGED)
        yield found


def entry_at(descriptor: int, stretch: Stretch, position: int) -> Found | None:
    """Return the entry whose head stands at a position, its data set unread; None where none stands there."""
    header, meta = _read_head(descriptor, stretch.epoch, position)
    if header is None or position + header.span > stretch.stop:
        return None
    condition = Condition.DAMAGED if meta is None else Condition.WHOLE
    return Found(header.location(stretch.segment_id), meta or _NOTHING_KNOWN, condition)


def read_entry(descriptor: int, location: Location) -> bool:
    """Return whether the entry of this location still stands in the file."""
    head = os.pread(descriptor, ENTRY_FIXED_BYTES, location.position)
    header = unpack_entry_header(head, epoch=location.epoch, position=location.position)
    return header is not None and header.location(location.segment_id) == location


def read_meta(descriptor: int, location: Location) -> StoreMeta:
    """Return the meta of an entry; fields are empty where its bytes are damaged."""
    _header, meta = _read_head(descriptor, location.epoch, location.position)
    return meta or _NOTHING_KNOWN


def data_digest(descriptor: int, location: Location) -> bytes:
    """Return the SHA-256 of the data set as it lies on disk."""
    digest = hashlib.sha256()
    position, left = location.position + location.data_offset, location.length
    while left:
        piece = os.pread(descriptor, min(left, _STRIDE_BYTES), position)
        if not piece:
            break
        digest.update(piece)
        position, left = position + len(piece), left - len(piece)
    return digest.digest()


def _read_head(descriptor: int, epoch: bytes, position: int) -> tuple[EntryHeader | None, StoreMeta | None]:
    head = os.pread(descriptor, _HEAD_BYTES, position)
    header = unpack_entry_header(head, epoch=epoch, position=position)
    if header is None:
        return None, None
    missing = ENTRY_FIXED_BYTES + header.meta_length - len(head)
    if missing > 0:
        head += os.pread(descriptor, missing, position + len(head))
    packed = head[ENTRY_FIXED_BYTES : ENTRY_FIXED_BYTES + header.meta_length]
    return header, unpack_meta(packed) if crc32(packed) == header.meta_crc else None


def _next_candidate(descriptor: int, epoch: bytes, position: int, stop: int) -> int:
    """Return the next block that begins like an entry of this epoch; `stop` where there is none."""
    mark = entry_mark(epoch)
    while position < stop:
        position = _next_data(descriptor, position, stop)
        stride = os.pread(descriptor, min(_STRIDE_BYTES, stop - position), position)
        if not stride:
            return stop
        at = stride.find(mark)
        while at >= 0 and at % BLOCK:
            at = stride.find(mark, at + 1)
        if at >= 0:
            return position + at
        position += len(stride)
    return stop


def _next_data(descriptor: int, position: int, stop: int) -> int:
    """Return the block at or after a position that is not in a hole of the file."""
    try:
        found = os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return stop
        return position
    return max(position, found - found % BLOCK)
