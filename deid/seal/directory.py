import struct
from dataclasses import dataclass
from typing import NamedTuple

from deid.seal.segments import OVERHEAD_BYTES, Kind
from deid.seal.values import SealReason, SealRefused

_COUNTS = struct.Struct("<II")
_ROW = struct.Struct("<BIIII")
_MULTIPLE_BYTES = 256


class Row(NamedTuple):
    """One segment: kind, stored and raw bytes, and the instances it concerns (SEAL.md, Directory)."""

    kind: Kind
    stored: int
    raw: int
    first: int
    instances: int


@dataclass(frozen=True, slots=True)
class Directory:
    """What stands where in a companion; segment numbers count from 1."""

    instances: int
    rows: tuple[Row, ...]

    def encode(self) -> bytes:
        """Write the directory, filled up so that its length tells the number of segments roughly only."""
        raw = _COUNTS.pack(self.instances, len(self.rows)) + b"".join(_ROW.pack(*row) for row in self.rows)
        return raw.ljust(raw_bytes(len(self.rows)), b"\0")


def raw_bytes(segments: int) -> int:
    """Return the length of an encoded directory."""
    used = _COUNTS.size + segments * _ROW.size
    return used + -used % _MULTIPLE_BYTES


def stored_bytes(segments: int) -> int:
    """Return the length of a directory in the object."""
    return raw_bytes(segments) + OVERHEAD_BYTES


def parse_directory(raw: bytes) -> Directory:
    """Read a directory that was authenticated.

    Raises:
        SealRefused: it contradicts itself.
    """
    if len(raw) < _COUNTS.size:
        raise SealRefused(SealReason.DAMAGED)
    instances, count = _COUNTS.unpack_from(raw)
    if len(raw) != raw_bytes(count):
        raise SealRefused(SealReason.DAMAGED)
    try:
        rows = tuple(
            Row(Kind(kind), *rest)
            for kind, *rest in (_ROW.unpack_from(raw, _COUNTS.size + n * _ROW.size) for n in range(count))
        )
    except ValueError as error:
        raise SealRefused(SealReason.DAMAGED) from error
    return Directory(instances, rows)
