"""The index entry: counts, tables, digests (FORMAT.md "index")."""

import struct
from typing import Final

from storage_nodes.record.codecs import zstd
from storage_nodes.record.errors import DamagedRecordError, RecordRefusedError, UnsupportedRecordError
from storage_nodes.record.index import DIGEST_BYTES, Index
from storage_nodes.record.limits import MOST_INDEX_BYTES, most_table_bytes
from storage_nodes.record.manifest import VERSION
from storage_nodes.record.tables import decode_tables, encode_tables
from storage_nodes.record.values import Buffer

_MAGIC: Final = b"DGRI"
_HEAD: Final = struct.Struct("<4sHHLLLLL")


def encode_index(index: Index) -> bytes:
    """Spell an index.

    Raises:
        RecordRefusedError: it would be longer than a reader takes.
    """
    tables = encode_tables(index)
    packed = zstd.compress(tables)
    head = _HEAD.pack(
        _MAGIC,
        VERSION,
        0,
        len(index.instances),
        len(index.payloads),
        len(index.blocks),
        len(tables),
        len(packed),
    )
    entry = b"".join((head, packed, *(block.sha256 for block in index.blocks), index.payloads.digests))
    if len(entry) > MOST_INDEX_BYTES or len(tables) > most_table_bytes(len(entry)):
        raise RecordRefusedError("too many instances or frames for one record")
    return entry


def decode_index(entry: Buffer) -> Index:
    """Read an index; its numbers are checked apart (`checks.check_index`).

    Raises:
        DamagedRecordError: not as `encode_index` spells it.
        UnsupportedRecordError: of a later version.
    """
    data = bytes(entry)
    if len(data) < _HEAD.size:
        raise DamagedRecordError("index: too short")
    magic, version, zero, instances, payloads, blocks, length, packed = _HEAD.unpack_from(data)
    if magic != _MAGIC or version == 0:
        raise DamagedRecordError("index: no index")
    if version > VERSION:
        raise UnsupportedRecordError("record of a later version than this build reads")
    digests = _HEAD.size + packed
    payload_digests = digests + blocks * DIGEST_BYTES
    if zero or payload_digests + payloads * DIGEST_BYTES != len(data) or length > most_table_bytes(len(data)):
        raise DamagedRecordError("index: counts and length do not agree")
    tables = zstd.decompress(data[_HEAD.size : digests], length)
    if 16 * instances > len(tables):  # each takes more: no loop over instances that are not there
        raise DamagedRecordError("index: more instances than its tables hold")
    return decode_tables(
        tables, (instances, payloads, blocks), data[digests:payload_digests], data[payload_digests:]
    )
