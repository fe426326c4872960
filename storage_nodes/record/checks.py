"""What the numbers of an index must be to each other, before anything is allocated or decoded by them.

A problem is a phrase: the writer refuses the input with it, the reader finds the record damaged.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from storage_nodes.record.codecs import htj2k
from storage_nodes.record.codecs.choose import ALL_FLAGS, RPCL, SERVABLE
from storage_nodes.record.errors import DamagedRecordError, RecordTooLargeError
from storage_nodes.record.headers import check_block
from storage_nodes.record.index import Index, InstanceEntry
from storage_nodes.record.limits import HEADER_BLOCK_BYTES, Limits, inflation_is_sane
from storage_nodes.record.values import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    LONGEST_VALUE_BYTES,
    PIXEL_VRS,
    UID,
    Codec,
    FrameLayout,
)

_NATIVE_SYNTAXES: Final = frozenset(
    {"1.2.840.10008.1.2", EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
)
"""Transfer syntaxes that cannot carry fragments (DICOM PS3.5 A.1 to A.3 and A.5)."""
_CODE_STRING: Final = re.compile(r"[A-Z0-9_ ]{0,16}")
"""VR CS (DICOM PS3.5 6.2)."""
_MOST_UNSIGNED_SHORT: Final = 0xFFFF
"""VR US."""


def instance_problem(entry: InstanceEntry) -> str | None:
    """Say why an instance has no place in a record; None where it has."""
    uids = (entry.sop_instance_uid, entry.sop_class_uid, entry.transfer_syntax)
    if any(UID.fullmatch(uid) is None for uid in uids):
        return "a UID that is empty, too long or has other characters than digits and dots"
    element = entry.element
    if element is None:
        return "payloads without a pixel element" if entry.payloads or entry.offset_table_bytes else None
    if element.vr not in PIXEL_VRS:
        return "a pixel element with a VR that pixel elements do not have"
    if element.encapsulated:
        if element.layout is not None or entry.transfer_syntax in _NATIVE_SYNTAXES:
            return "fragments in a transfer syntax of native pixels, or with a native layout"
        return None
    if entry.transfer_syntax != EXPLICIT_VR_LITTLE_ENDIAN or entry.offset_table_bytes:
        return "native pixels not in Explicit VR Little Endian, or with an offset table"
    return None if element.layout is None or is_layout(element.layout) else "a layout out of all bounds"


def is_layout(layout: FrameLayout) -> bool:
    """Say whether the values are of their VRs, US and CS; a header may say anything."""
    numbers = (
        layout.rows,
        layout.columns,
        layout.samples,
        layout.bits_allocated,
        layout.bits_stored,
        layout.high_bit,
        layout.planar,
    )
    in_range = all(0 <= number <= _MOST_UNSIGNED_SHORT for number in numbers)
    return in_range and _CODE_STRING.fullmatch(layout.photometric) is not None


def check_index(index: Index, headers_bytes: int, frames_bytes: int, limits: Limits) -> None:
    """Check an index against itself and the lengths of the two entries it speaks of.

    Raises:
        DamagedRecordError: something in it cannot be.
        RecordTooLargeError: it asks for more memory than `limits` or any writer allows.
    """
    for block in index.blocks:
        check_block(block, limits)
    for problem in _problems(index, headers_bytes, frames_bytes):
        raise DamagedRecordError(f"index: {problem}")
    stored, decoded = (index.payloads.columns[name] for name in ("stored_bytes", "decoded_bytes"))
    largest = int(decoded.max(initial=0))
    suspects = np.flatnonzero(decoded.astype(np.int64) > stored)
    if largest > limits.payload_bytes or not all(
        inflation_is_sane(int(decoded[n]), int(stored[n])) for n in suspects
    ):
        raise RecordTooLargeError("a payload inflates beyond what the limits or any writer allow")


def _problems(index: Index, headers_bytes: int, frames_bytes: int) -> Iterator[str]:
    if index.first_payloads[-1] != len(index.payloads) or index.payload_starts[-1] != frames_bytes:
        yield "payloads do not fill the frames"
        return
    if sum(block.instances for block in index.blocks) != len(index.instances):
        yield "header blocks do not hold the instances"
        return
    yield from _block_problems(index, headers_bytes)
    yield from filter(None, map(instance_problem, index.instances))
    if len({entry.sop_instance_uid for entry in index.instances}) != len(index.instances):
        yield "an instance twice"
    yield from _payload_problems(index)


def _block_problems(index: Index, headers_bytes: int) -> Iterator[str]:
    if index.block_starts[-1] != headers_bytes:
        yield "header blocks do not fill the headers"
    entries = iter(index.instances)
    for block in index.blocks:
        inside = sum(next(entries).header_bytes for _ in range(block.instances))
        if inside != block.inflated_bytes or block.stored_bytes > block.inflated_bytes:
            yield "headers do not fill their block"
        if block.instances == 0 or (block.instances > 1 and block.inflated_bytes > HEADER_BLOCK_BYTES):
            yield "a header block of another size than a writer makes"


def _payload_problems(index: Index) -> Iterator[str]:
    columns = index.payloads.columns
    codec, flags = columns["codec"], columns["flags"]
    stored, decoded = columns["stored_bytes"], columns["decoded_bytes"]
    raw = codec == Codec.RAW
    if np.any(codec > max(Codec)) or np.any(flags & ~np.uint8(ALL_FLAGS)):
        yield "a codec or flag that is not known"
    if np.any((flags & (SERVABLE | RPCL)) == RPCL):
        yield "a flag without the one it goes with"
    if np.any(flags[codec != Codec.HTJ2K]):
        yield "flags of a codestream on what is none"
    if np.any(stored[raw] != decoded[raw]) or np.any(columns["decoded_crc32"][raw]):
        yield "a payload that lies as it is, with two lengths"
    if np.any(stored[~raw] >= decoded[~raw]):
        yield "an encoding that saves nothing"
    if np.any(codec > _most_codec(index)):
        yield "a codec that its pixel element cannot have"
    totals = np.diff(index.decoded_starts[np.array(index.first_payloads)])
    if np.any(totals[_is_native(index)] > LONGEST_VALUE_BYTES):
        yield "native pixels longer than a value can be"


def _is_native(index: Index) -> NDArray[np.bool_]:
    elements = (entry.element for entry in index.instances)
    native = (element is not None and not element.encapsulated for element in elements)
    return np.fromiter(native, np.bool_)


def _most_codec(index: Index) -> NDArray[Any]:
    """Tell each payload's highest codec: raw for fragments, HTJ2K where the layout fits, else zstd."""
    decoded = index.payloads.columns["decoded_bytes"]
    most = np.zeros(len(index.payloads), np.uint8)
    known: dict[tuple[object, int], Codec] = {}
    firsts = index.first_payloads
    for number, entry in enumerate(index.instances):
        element = entry.element
        if element is None or element.encapsulated:
            continue
        own = slice(firsts[number], firsts[number + 1])
        for length in np.unique(decoded[own]).tolist():
            key = (element.layout, length)
            if key not in known:
                encoding = htj2k.encoding_for(element.layout, length) if element.layout else None
                known[key] = Codec.ZSTD if encoding is None else Codec.HTJ2K
            most[own][decoded[own] == length] = known[key]
    return most
