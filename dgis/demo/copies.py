"""A look at the nodes from outside: their folders and FORMAT.md, no database and no running gateway."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dgis.trail.sealing import PREFIX
from storage_nodes.folder import FolderNode
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.verify import verify_record


@dataclass(frozen=True, slots=True)
class NodeFolders:
    """Where an embedded node keeps records and, apart, their sealed companions."""

    name: str
    records: Path
    sealed: Path

    def objects(self) -> Iterator[tuple[str, bytes]]:
        """Yield everything that lies there, records first, each under its name."""
        for part, folder in (("records", self.records), ("sealed", self.sealed)):
            for name, body in _objects(self.name, folder):
                yield f"{part}/{name}", body

    def digests(self) -> dict[str, bytes]:
        """Return the SHA-256 of every copy; signed heads of the trail lie on whichever node was there."""
        copies = ((name, body) for name, body in self.objects() if not name.startswith(f"sealed/{PREFIX}"))
        return {name: hashlib.sha256(body).digest() for name, body in copies}

    def size_bytes(self) -> int:
        """Return how much lies there."""
        return sum(len(body) for _, body in self.objects())

    def damaged(self) -> list[str]:
        """Name the records that are not as they were written."""
        return [
            name
            for name, body in _objects(self.name, self.records)
            if not verify_record(BufferSource(body)).whole
        ]

    def headers(self) -> Iterator[bytes]:
        """Yield every header that the records hold, inflated."""
        for _, body in _objects(self.name, self.records):
            reader = RecordReader(BufferSource(body))
            for number in range(len(reader.instances)):
                yield from reader.header(number)


def _objects(name: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    node = FolderNode(name, "demo", folder)
    for stat in node.list():
        yield str(stat.name), node.get(stat.name)
