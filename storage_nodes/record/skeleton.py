"""The ZIP64 structure around the four contents: one spelling, made from lengths (FORMAT.md "One spelling").

Source of the fields: PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
"""

import struct
from dataclasses import dataclass
from typing import Final

from storage_nodes.record.values import Extent

ENTRIES: Final = ("manifest", "index", "headers", "frames")

_VERSION_ZIP64: Final = 45
_STORED: Final = 0
_MIDNIGHT: Final = 0
_FIRST_OF_JANUARY_1980: Final = 0x0021
_IN_EXTRA_32: Final = 0xFFFF_FFFF
_IN_EXTRA_16: Final = 0xFFFF

_LOCAL: Final = struct.Struct("<4sHHHHHLLLHH")
_LOCAL_EXTRA: Final = struct.Struct("<HHQQ")
_CENTRAL: Final = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_CENTRAL_EXTRA: Final = struct.Struct("<HHQQQ")
_ZIP64_END: Final = struct.Struct("<4sQHHLLQQQQ")
_ZIP64_LOCATOR: Final = struct.Struct("<4sLQL")
_END: Final = struct.Struct("<4sHHHHLLH")

LOCAL_HEADER_BYTES: Final = {name: _LOCAL.size + len(name) + _LOCAL_EXTRA.size for name in ENTRIES}
CONTENTS_START: Final = LOCAL_HEADER_BYTES[ENTRIES[0]]
"""Where the manifest begins, in every record."""
_CENTRAL_BYTES: Final = sum(_CENTRAL.size + len(name) + _CENTRAL_EXTRA.size for name in ENTRIES)
TRAILER_BYTES: Final = _CENTRAL_BYTES + _ZIP64_END.size + _ZIP64_LOCATOR.size + _END.size


@dataclass(frozen=True, slots=True)
class Content:
    """Length and CRC-32 of one entry's content."""

    length: int
    crc32: int


def extents(lengths: tuple[int, int, int, int]) -> tuple[tuple[Extent, Extent, Extent, Extent], int]:
    """Tell where the four contents of these lengths lie, and how long the object is, bytes."""
    found = []
    position = 0
    for name, length in zip(ENTRIES, lengths, strict=True):
        position += LOCAL_HEADER_BYTES[name]
        found.append(Extent(position, length))
        position += length
    manifest, index, headers, frames = found
    return (manifest, index, headers, frames), position + TRAILER_BYTES


def local_header(name: str, content: Content) -> bytes:
    """Spell what stands before a content (APPNOTE 4.3.7)."""
    return (
        _LOCAL.pack(
            b"PK\x03\x04",
            _VERSION_ZIP64,
            0,
            _STORED,
            _MIDNIGHT,
            _FIRST_OF_JANUARY_1980,
            content.crc32,
            _IN_EXTRA_32,
            _IN_EXTRA_32,
            len(name),
            _LOCAL_EXTRA.size,
        )
        + name.encode()
        + _LOCAL_EXTRA.pack(1, _LOCAL_EXTRA.size - 4, content.length, content.length)
    )


def first_content(head: bytes) -> Content | None:
    """Read what the first `CONTENTS_START` bytes say of the manifest; None where this is no record."""
    if len(head) < CONTENTS_START:
        return None
    crc32 = int.from_bytes(head[14:18], "little")
    length = int.from_bytes(head[CONTENTS_START - 8 : CONTENTS_START], "little")
    content = Content(length, crc32)
    return content if head[:CONTENTS_START] == local_header(ENTRIES[0], content) else None


def trailer(contents: tuple[Content, Content, Content, Content]) -> bytes:
    """Spell central directory and end records (APPNOTE 4.3.12, 4.3.14 to 4.3.16)."""
    lengths = (contents[0].length, contents[1].length, contents[2].length, contents[3].length)
    places, size = extents(lengths)
    directory = b"".join(
        _central_header(name, content, place.start - LOCAL_HEADER_BYTES[name])
        for name, content, place in zip(ENTRIES, contents, places, strict=True)
    )
    start = size - TRAILER_BYTES
    count = len(ENTRIES)
    zip64_end = _ZIP64_END.pack(
        b"PK\x06\x06",
        _ZIP64_END.size - 12,
        _VERSION_ZIP64,
        _VERSION_ZIP64,
        0,
        0,
        count,
        count,
        len(directory),
        start,
    )
    locator = _ZIP64_LOCATOR.pack(b"PK\x06\x07", 0, start + len(directory), 1)
    end = _END.pack(
        b"PK\x05\x06",
        _IN_EXTRA_16,
        _IN_EXTRA_16,
        _IN_EXTRA_16,
        _IN_EXTRA_16,
        _IN_EXTRA_32,
        _IN_EXTRA_32,
        0,
    )
    return directory + zip64_end + locator + end


def _central_header(name: str, content: Content, offset: int) -> bytes:
    return (
        _CENTRAL.pack(
            b"PK\x01\x02",
            _VERSION_ZIP64,
            _VERSION_ZIP64,
            0,
            _STORED,
            _MIDNIGHT,
            _FIRST_OF_JANUARY_1980,
            content.crc32,
            _IN_EXTRA_32,
            _IN_EXTRA_32,
            len(name),
            _CENTRAL_EXTRA.size,
            0,
            0,
            0,
            0,
            _IN_EXTRA_32,
        )
        + name.encode()
        + _CENTRAL_EXTRA.pack(1, _CENTRAL_EXTRA.size - 4, content.length, content.length, offset)
    )
