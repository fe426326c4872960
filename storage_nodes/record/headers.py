"""Blocks of de-identified headers (FORMAT.md "headers")."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from storage_nodes.record.codecs import zstd
from storage_nodes.record.errors import DamagedRecordError, RecordTooLargeError
from storage_nodes.record.limits import HEADER_BLOCK_BYTES, Limits, inflation_is_sane
from storage_nodes.record.values import Buffer


@dataclass(frozen=True, slots=True)
class BlockEntry:
    """What the index says of a header block: how many instances, bytes inflated and as they lie."""

    instances: int
    inflated_bytes: int
    stored_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """A block as it will lie in `headers`."""

    entry: BlockEntry
    body: bytes = field(repr=False)


class HeaderPacker:
    """Gathers the headers of instances, in order, into blocks."""

    def __init__(self) -> None:
        self._blocks: list[HeaderBlock] = []
        self._open: list[bytes] = []
        self._open_bytes = 0
        self._open_instances = 0

    def add(self, parts: Iterable[bytes]) -> None:
        """Take the header of the next instance; a block is closed before it would pass its size."""
        header = b"".join(parts)
        if self._open_instances and self._open_bytes + len(header) > HEADER_BLOCK_BYTES:
            self._close()
        self._open.append(header)
        self._open_bytes += len(header)
        self._open_instances += 1

    def finish(self) -> list[HeaderBlock]:
        """Give all blocks."""
        if self._open_instances:
            self._close()
        return self._blocks

    def _close(self) -> None:
        inflated = b"".join(self._open)
        body = zstd.compress(inflated)
        if len(body) >= len(inflated) or not inflation_is_sane(len(inflated), len(body)):
            body = inflated
        elif zstd.decompress(body, len(inflated)) != inflated:
            raise RuntimeError("zstd did not give a header block back")
        entry = BlockEntry(self._open_instances, len(inflated), len(body), hashlib.sha256(body).digest())
        self._blocks.append(HeaderBlock(entry, body))
        self._open, self._open_bytes, self._open_instances = [], 0, 0


def open_block(body: Buffer, entry: BlockEntry, limits: Limits) -> bytes:
    """Check and inflate one block.

    Raises:
        DamagedRecordError: the digest does not match, or it does not inflate to its length.
        RecordTooLargeError: it would inflate to more than `limits` allows.
    """
    check_block(entry, limits)
    if hashlib.sha256(body).digest() != entry.sha256:
        raise DamagedRecordError("a header block is damaged")
    if entry.inflated_bytes == entry.stored_bytes:
        return bytes(body)
    return zstd.decompress(body, entry.inflated_bytes)


def check_block(entry: BlockEntry, limits: Limits) -> None:
    """Refuse a block by its lengths alone.

    Raises:
        RecordTooLargeError: it would inflate to more than `limits` or any writer allows.
    """
    if entry.inflated_bytes > limits.header_block_bytes:
        raise RecordTooLargeError(f"a header block of {entry.inflated_bytes} bytes inflated")
    if not inflation_is_sane(entry.inflated_bytes, entry.stored_bytes):
        raise RecordTooLargeError("a header block inflates beyond what a writer lets it")
