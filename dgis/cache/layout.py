"""The bytes of segment and entry headers (FORMAT.md), packed and checked; no I/O."""

import json
import struct
from dataclasses import dataclass, fields
from zlib import crc32

from dgis.cache.values import Location, StoreMeta

BLOCK = (
    4096  # entries begin and end on it: a disk never has to rewrite a sector that holds acknowledged bytes
)
SEGMENT_HEADER_BYTES = BLOCK
EPOCH_BYTES = 16
ENTRY_FIXED_BYTES = 96
MAX_META_BYTES = 64 << 10

_VERSION = 1
_SEGMENT_MAGIC = b"DGISSEG1"
_ENTRY_MAGIC = b"DGISENT1"
_SEGMENT = struct.Struct("<8sHH16s32sQ")  # magic, version, zero, epoch, id, created_ms
_ENTRY = struct.Struct(
    "<8s16sQQQI32sII"
)  # magic, epoch, sequence, position, length, meta length, sha, meta crc, 0
_CRC = struct.Struct("<I")
_META_FIELDS = tuple(field.name for field in fields(StoreMeta))
_EMPTY_META = {
    "sop_class_uid": "",
    "sop_instance_uid": "",
    "transfer_syntax": "",
    "calling_ae": "",
    "called_ae": "",
    "peer_address": "",
    "received_ms": 0,
}
_JSON = json.JSONEncoder(separators=(",", ":"), sort_keys=True)


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """The first block of a segment: which life of which file this is."""

    segment_id: str
    epoch: bytes
    created_ms: int


@dataclass(frozen=True, slots=True)
class EntryHeader:
    """The fixed part of an entry's head, checked against its CRC."""

    epoch: bytes
    sequence: int
    position: int
    length: int
    meta_length: int
    sha256: bytes
    meta_crc: int

    @property
    def span(self) -> int:
        """Bytes the entry takes, whole blocks."""
        return whole_blocks(ENTRY_FIXED_BYTES + self.meta_length + self.length)

    def location(self, segment_id: str) -> Location:
        """Return where the entry's data set lies."""
        return Location(
            segment_id=segment_id,
            epoch=self.epoch,
            position=self.position,
            span=self.span,
            data_offset=ENTRY_FIXED_BYTES + self.meta_length,
            length=self.length,
            sha256=self.sha256,
        )


def entry_mark(epoch: bytes) -> bytes:
    """Return what every entry of an epoch begins with."""
    return _ENTRY_MAGIC + epoch


def whole_blocks(count: int) -> int:
    """Return the bytes rounded up to whole blocks."""
    return -(-count // BLOCK) * BLOCK


def pack_segment_header(header: SegmentHeader) -> bytes:
    """Return the first block of a segment file."""
    fixed = _SEGMENT.pack(
        _SEGMENT_MAGIC, _VERSION, 0, header.epoch, header.segment_id.encode("ascii"), header.created_ms
    )
    return (fixed + _CRC.pack(crc32(fixed))).ljust(SEGMENT_HEADER_BYTES, b"\0")


def unpack_segment_header(block: bytes) -> SegmentHeader | None:
    """Return the header, or None where these bytes are none (a torn, foreign or newer file)."""
    if len(block) < _SEGMENT.size + _CRC.size:
        return None
    magic, version, _zero, epoch, name, created_ms = _SEGMENT.unpack_from(block)
    (crc,) = _CRC.unpack_from(block, _SEGMENT.size)
    if magic != _SEGMENT_MAGIC or version != _VERSION or crc != crc32(block[: _SEGMENT.size]):
        return None
    try:
        return SegmentHeader(name.rstrip(b"\0").decode("ascii"), epoch, created_ms)
    except UnicodeDecodeError:
        return None


def pack_entry_head(header: EntryHeader, meta: bytes) -> bytes:
    """Return fixed header and meta, as they stand in front of the data set."""
    fixed = _ENTRY.pack(
        _ENTRY_MAGIC,
        header.epoch,
        header.sequence,
        header.position,
        header.length,
        header.meta_length,
        header.sha256,
        header.meta_crc,
        0,
    )
    return fixed + _CRC.pack(crc32(fixed)) + meta


def unpack_entry_header(head: bytes, *, epoch: bytes, position: int) -> EntryHeader | None:
    """Return the header that stands at the position, or None where these bytes are no entry of this epoch."""
    if len(head) < ENTRY_FIXED_BYTES or not head.startswith(entry_mark(epoch)):
        return None
    _magic, _epoch, sequence, said_position, length, meta_length, sha256, meta_crc, _zero = (
        _ENTRY.unpack_from(head)
    )
    (crc,) = _CRC.unpack_from(head, _ENTRY.size)
    if crc != crc32(head[: _ENTRY.size]) or said_position != position or meta_length > MAX_META_BYTES:
        return None
    return EntryHeader(epoch, sequence, position, length, meta_length, sha256, meta_crc)


def pack_meta(meta: StoreMeta, association: str | None = None) -> bytes:
    """Return the meta as compact JSON, with `association` in place of its own where one is given.

    Raises:
        ValueError: more than MAX_META_BYTES; the door bounds every field long before.
    """
    known = {name: getattr(meta, name) for name in _META_FIELDS}
    if association is not None:
        known["association"] = association
    known["assertions"] = dict(meta.assertions)
    packed = _JSON.encode({name: value for name, value in known.items() if value or value == 0}).encode(
        "ascii"
    )
    if len(packed) > MAX_META_BYTES:
        raise ValueError(f"the meta of an entry takes {len(packed)} bytes, the log holds {MAX_META_BYTES}")
    return packed


def unpack_meta(packed: bytes) -> StoreMeta:
    """Return the meta; fields a newer version added are passed over, missing ones are empty."""
    read = json.loads(packed)
    named = {name: read[name] for name in _META_FIELDS if name in read}
    return StoreMeta(**{**_EMPTY_META, **named})
