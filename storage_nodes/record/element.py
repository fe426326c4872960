"""The pixel element of a data set, put together again (DICOM PS3.5 7.1.2 and A.4)."""

import struct
from dataclasses import dataclass
from typing import Final

from storage_nodes.record.index import ElementEntry

_HEADER: Final = struct.Struct("<HH2sHL")
_ITEM: Final = struct.Struct("<HHL")
_ITEM_TAG: Final = (0xFFFE, 0xE000)
_UNDEFINED: Final = 0xFFFF_FFFF
_DELIMITER: Final = _ITEM.pack(0xFFFE, 0xE0DD, 0)
PADDING: Final = b"\0"


@dataclass(frozen=True, slots=True)
class Lengths:
    """What the payloads of one instance are in sum: how many, how many of odd length, bytes decoded."""

    payloads: int
    odd: int
    total: int


def opening(element: ElementEntry, offset_table: bytes, lengths: Lengths) -> bytes:
    """Spell what stands before the first payload: tag, VR, length; for fragments the offset table item too.

    Where a fragment of odd length gets a padding byte the offset table is left empty: its offsets would lie.
    """
    length = _UNDEFINED if element.encapsulated else _even(lengths.total)
    header = _HEADER.pack(element.tag >> 16, element.tag & 0xFFFF, element.vr.encode("ascii"), 0, length)
    if not element.encapsulated:
        return header
    table = b"" if lengths.odd else offset_table
    return header + item_header(len(table)) + table


def item_header(length: int) -> bytes:
    """Spell the start of an item whose value is made even."""
    return _ITEM.pack(*_ITEM_TAG, _even(length))


def closing(element: ElementEntry, lengths: Lengths) -> bytes:
    """Spell what stands behind the last payload: padding of a native value, or the sequence delimiter."""
    if element.encapsulated:
        return _DELIMITER
    return PADDING * (lengths.total % 2)


def element_length(element: ElementEntry, offset_table_bytes: int, lengths: Lengths) -> int:
    """Tell how long the whole element is, bytes."""
    if not element.encapsulated:
        return _HEADER.size + _even(lengths.total)
    table = 0 if lengths.odd else offset_table_bytes
    items = lengths.total + lengths.odd + _ITEM.size * lengths.payloads
    return _HEADER.size + _ITEM.size + table + items + len(_DELIMITER)


def _even(length: int) -> int:
    return length + length % 2
