"""A record's layout as the replica index keeps it: with it a reader opens the record by one read."""

from collections.abc import Mapping
from typing import Any

from storage_nodes.record.values import Extent, RecordLayout

_PARTS = ("index", "headers", "frames")


def to_json(layout: RecordLayout) -> dict[str, Any]:
    """Return the layout as plain values."""
    parts = {name: getattr(layout, name) for name in _PARTS}
    return {
        "size": layout.size,
        **{name: [part.start, part.length] for name, part in parts.items()},
        "index_sha256": layout.index_sha256.hex(),
    }


def from_json(said: Mapping[str, Any]) -> RecordLayout:
    """Return the layout that `to_json` wrote."""
    index, headers, frames = (Extent(*said[name]) for name in _PARTS)
    return RecordLayout(said["size"], index, headers, frames, bytes.fromhex(said["index_sha256"]))
