"""Records with a false word in them and right digests all around it: what a clever enemy would write."""

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass

from storage_nodes.record import skeleton
from storage_nodes.record.codecs import zstd
from storage_nodes.record.codecs.choose import crc32

HEAD = struct.Struct("<4sHHLLLLL")


@dataclass
class Parts:
    """The four contents of a record, to be changed and put together again."""

    manifest: dict
    index: bytes
    headers: bytes
    frames: bytes


def take_apart(record: bytes) -> Parts:
    """Split a whole record by its own manifest."""
    start = skeleton.CONTENTS_START
    content = skeleton.first_content(record[:start])
    manifest = json.loads(record[start : start + content.length])
    lengths = (content.length, *(manifest[name]["bytes"] for name in ("index", "headers", "frames")))
    places, _ = skeleton.extents(lengths)
    return Parts(manifest, *(record[place.start : place.end] for place in places[1:]))


def put_together(parts: Parts) -> bytes:
    """Make a record of any contents; lengths and the index's digest are made to fit."""
    parts.manifest["index"] = {"bytes": len(parts.index), "sha256": hashlib.sha256(parts.index).hexdigest()}
    parts.manifest["headers"] = {"bytes": len(parts.headers)}
    parts.manifest["frames"] = {"bytes": len(parts.frames)}
    text = json.dumps(parts.manifest, sort_keys=True, separators=(",", ":")).encode()
    pieces = (text, parts.index, parts.headers, parts.frames)
    contents = tuple(skeleton.Content(len(piece), crc32(piece)) for piece in pieces)
    body = b"".join(
        skeleton.local_header(name, content) + piece
        for name, content, piece in zip(skeleton.ENTRIES, contents, pieces, strict=True)
    )
    return body + skeleton.trailer(contents)


def tables_of(index: bytes) -> bytes:
    """The inflated tables of an index."""
    *_, length, packed = HEAD.unpack_from(index)
    return zstd.decompress(index[HEAD.size : HEAD.size + packed], length)


def with_tables(index: bytes, tables: bytes) -> bytes:
    """The index with other tables."""
    *counts, _, packed = HEAD.unpack_from(index)
    frame = zstd.compress(tables)
    return HEAD.pack(*counts, len(tables), len(frame)) + frame + index[HEAD.size + packed :]


def forged(record: bytes, change: Callable[[Parts], None]) -> bytes:
    """Change the contents of a record and make everything around fit."""
    parts = take_apart(record)
    change(parts)
    return put_together(parts)
