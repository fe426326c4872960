"""The tables of the index as bytes (FORMAT.md "index"): columns of fixed-width numbers, and a few texts."""

import struct
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from storage_nodes.record.errors import DamagedRecordError, RecordRefusedError
from storage_nodes.record.headers import BlockEntry
from storage_nodes.record.index import (
    DIGEST_BYTES,
    PAYLOAD_COLUMNS,
    ElementEntry,
    Index,
    InstanceEntry,
    Payloads,
)
from storage_nodes.record.values import UID, FrameLayout

_U16: Final = np.dtype("<u2")
_U32: Final = np.dtype("<u4")
_NO_ELEMENT: Final = 0xFFFF
_ELEMENT: Final = struct.Struct("<HH2sBBHHHHHHHB")
_NATIVE, _ENCAPSULATED, _UNKNOWN_LAYOUT = range(3)
_NO_LAYOUT: Final = FrameLayout(0, 0, 0, 0, 0, 0, signed=False, planar=0, photometric="")

_UUID_PREFIX: Final = "2.25."
_UUID_BYTES: Final = 16
"""A UUID-derived UID is one 128-bit number in decimal (DICOM PS3.5 B.2)."""


class Cursor:
    """Takes bytes off the front of a table; what is not there is damage."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, length: int) -> bytes:
        """Take exactly so many bytes."""
        end = self._position + length
        if end > len(self._data):
            raise DamagedRecordError("a table of the index ends early")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def number(self, width: int) -> int:
        """Take an unsigned number of this many bytes."""
        return int.from_bytes(self.take(width), "little")

    def column(self, count: int, kind: np.dtype[Any]) -> NDArray[Any]:
        """Take a column."""
        return np.frombuffer(self.take(count * kind.itemsize), kind)

    def finish(self) -> None:
        """Insist that nothing is left."""
        if self._position != len(self._data):
            raise DamagedRecordError("bytes behind the tables of the index")


def encode_tables(index: Index) -> bytes:
    """Spell the tables.

    Raises:
        RecordRefusedError: 65,535 kinds of pixel elements or classes, or more.
    """
    entries = index.instances
    uids = _Places(uid for entry in entries for uid in (entry.sop_class_uid, entry.transfer_syntax))
    elements = _Places(entry.element for entry in entries if entry.element is not None)
    instance_uids = [_encode_instance_uid(entry.sop_instance_uid) for entry in entries]
    parts = [
        _u16(len(uids.values)),
        *(_text(uid) for uid in uids.values),
        _u16(len(elements.values)),
        *(_encode_element(element) for element in elements.values),
        _column((block.instances for block in index.blocks), _U32),
        _column((block.inflated_bytes for block in index.blocks), _U32),
        _column((block.stored_bytes for block in index.blocks), _U32),
        _column((uids.of[entry.sop_class_uid] for entry in entries), _U16),
        _column((uids.of[entry.transfer_syntax] for entry in entries), _U16),
        _column((_NO_ELEMENT if e.element is None else elements.of[e.element] for e in entries), _U16),
        _column((entry.before_bytes for entry in entries), _U32),
        _column((entry.offset_table_bytes for entry in entries), _U32),
        _column((entry.after_bytes for entry in entries), _U32),
        _column((entry.payloads for entry in entries), _U32),
        bytes(length for length, _ in instance_uids),
        *(index.payloads.columns[name].tobytes() for name, _ in PAYLOAD_COLUMNS),
        *(uid for _, uid in instance_uids),
    ]
    return b"".join(parts)


def decode_tables(
    tables: bytes, counts: tuple[int, int, int], block_digests: bytes, payload_digests: bytes
) -> Index:
    """Read the tables; what the numbers mean for each other is checked apart (`checks`).

    Args:
        tables: as inflated.
        counts: instances, payloads, header blocks.
        block_digests: SHA-256 of each header block, one after another.
        payload_digests: SHA-256 of each payload, one after another.

    Raises:
        DamagedRecordError: a number points outside its table, or the tables are longer or shorter.
    """
    instances, payloads, blocks = counts
    cursor = Cursor(tables)
    uids = [_decode_uid(cursor.take(cursor.number(1))) for _ in range(cursor.number(2))]
    elements: list[ElementEntry | None] = [_decode_element(cursor) for _ in range(cursor.number(2))]
    block_columns = [cursor.column(blocks, _U32).tolist() for _ in range(3)]
    classes, syntaxes, places = (cursor.column(instances, _U16).tolist() for _ in range(3))
    lengths = [cursor.column(instances, _U32).tolist() for _ in range(4)]
    uid_lengths = cursor.take(instances)
    columns = {name: cursor.column(payloads, kind) for name, kind in PAYLOAD_COLUMNS}
    instance_uids = [_decode_instance_uid(cursor, length) for length in uid_lengths]
    cursor.finish()
    if max((*classes, *syntaxes), default=-1) >= len(uids):
        raise DamagedRecordError("an instance of the index refers to a UID that is not there")
    if any(place != _NO_ELEMENT and place >= len(elements) for place in places):
        raise DamagedRecordError("an instance of the index refers to a pixel element that is not there")
    return Index(
        instances=[
            InstanceEntry(
                uid,
                uids[sop_class],
                uids[syntax],
                before,
                offset_table,
                after,
                None if place == _NO_ELEMENT else elements[place],
                count,
            )
            for uid, sop_class, syntax, place, before, offset_table, after, count in zip(
                instance_uids, classes, syntaxes, places, *lengths, strict=True
            )
        ],
        payloads=Payloads(columns, payload_digests),
        blocks=[
            BlockEntry(count, inflated, stored, block_digests[n * DIGEST_BYTES : (n + 1) * DIGEST_BYTES])
            for n, (count, inflated, stored) in enumerate(zip(*block_columns, strict=True))
        ],
    )


class _Places:
    """Distinct values in the order of their first use."""

    def __init__(self, values: Iterable[Any]) -> None:
        self.values = list(dict.fromkeys(values))
        self.of = {value: place for place, value in enumerate(self.values)}


def _encode_element(element: ElementEntry) -> bytes:
    form = _NATIVE if element.layout is not None else _UNKNOWN_LAYOUT
    layout = element.layout or _NO_LAYOUT
    return _ELEMENT.pack(
        element.tag >> 16,
        element.tag & 0xFFFF,
        element.vr.encode("ascii"),
        _ENCAPSULATED if element.encapsulated else form,
        layout.signed,
        layout.planar,
        layout.rows,
        layout.columns,
        layout.samples,
        layout.bits_allocated,
        layout.bits_stored,
        layout.high_bit,
        len(layout.photometric),
    ) + layout.photometric.encode("ascii")


def _decode_element(cursor: Cursor) -> ElementEntry:
    group, element, vr, form, signed, planar, rows, columns, samples, allocated, stored, high, length = (
        _ELEMENT.unpack(cursor.take(_ELEMENT.size))
    )
    layout = FrameLayout(
        rows, columns, samples, allocated, stored, high, bool(signed), planar, _ascii(cursor.take(length))
    )
    if form > _UNKNOWN_LAYOUT or signed > 1 or (form != _NATIVE and layout != _NO_LAYOUT):
        raise DamagedRecordError("a pixel element of the index is of no known form")
    return ElementEntry(
        group << 16 | element, _ascii(vr), form == _ENCAPSULATED, layout if form == _NATIVE else None
    )


def _encode_instance_uid(uid: str) -> tuple[int, bytes]:
    number = uid.removeprefix(_UUID_PREFIX)
    if number != uid and number.isdecimal() and int(number) < 1 << 128 and str(int(number)) == number:
        return 0, int(number).to_bytes(_UUID_BYTES, "big")
    return len(uid), uid.encode("ascii")


def _decode_instance_uid(cursor: Cursor, length: int) -> str:
    if length == 0:
        return f"{_UUID_PREFIX}{int.from_bytes(cursor.take(_UUID_BYTES), 'big')}"
    return _decode_uid(cursor.take(length))


def _decode_uid(text: bytes) -> str:
    uid = _ascii(text)
    if UID.fullmatch(uid) is None:
        raise DamagedRecordError("a UID of the index is none")
    return uid


def _ascii(text: bytes) -> str:
    if not text.isascii():
        raise DamagedRecordError("a text of the index is not ASCII")
    return text.decode("ascii")


def _text(text: str) -> bytes:
    return bytes((len(text),)) + text.encode("ascii")


def _u16(number: int) -> bytes:
    if number >= _NO_ELEMENT:
        raise RecordRefusedError("too many kinds of instances for one record")
    return number.to_bytes(2, "little")


def _column(values: Iterable[int], kind: np.dtype[Any]) -> bytes:
    return np.fromiter(values, kind).tobytes()
