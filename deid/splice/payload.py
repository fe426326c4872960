from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from deid.elements import Buffer
from deid.splice.blank import Blank
from deid.splice.values import Split


@dataclass(frozen=True, slots=True)
class PayloadEdit:
    """What publishing takes out of one payload; offsets count bytes of the payload as it came.

    First the bits of `cleared`, a pattern laid over the payload from its first byte again and again, become
    zero (overlay bits above the stored ones: `bytes.fromhex("00f0")` for 12 stored bits of 16); then the
    `dropped` ranges (start, length), ascending and apart, are cut out (JPEG APPn and COM segments). A
    fragment left odd by that gets one zero byte at its end, which no original asks for (PS3.5 A.4).
    `blank` overwrites rectangles of a native frame (PS3.15 E.3.1), after bits were cleared.
    """

    index: int
    dropped: tuple[tuple[int, int], ...] = ()
    cleared: bytes = b""
    blank: Blank | None = None

    @property
    def overwrites(self) -> bool:
        """Whether bytes that stay are other than they were, so that the original is had by exclusive-or."""
        return bool(self.cleared) or self.blank is not None


def payload_of(dataset: Buffer, split: Split, index: int) -> Buffer:
    """Return one payload in little endian: a view of the data set, or a copy where words must be reversed."""
    hole = split.holes[index]
    view = memoryview(dataset)
    swap = split.swap
    if not swap:
        return view[hole.start : hole.start + hole.length]
    offset = hole.start - split.value_start
    first = offset - offset % swap
    last = offset + hole.length + -(offset + hole.length) % swap
    words = reverse_words(view[split.value_start + first : split.value_start + last], swap)
    return memoryview(words)[offset - first : offset - first + hole.length]


def published_payload(dataset: Buffer, split: Split, index: int, edits: Mapping[int, PayloadEdit]) -> Buffer:
    """Return one payload as the record holds it: little endian, with its edit applied."""
    payload = payload_of(dataset, split, index)
    edit = edits.get(index)
    return payload if edit is None else apply_edit(payload, edit, fragment=split.encapsulated)


def apply_edit(payload: Buffer, edit: PayloadEdit, *, fragment: bool) -> Buffer:
    """Return the payload with an edit applied; the payload itself is left as it is."""
    cleared = clear_bits(payload, edit.cleared) if edit.cleared else payload
    if edit.blank is not None:
        cleared = edit.blank.apply(cleared)
    if not edit.dropped:
        return cleared
    pieces = [cleared[start : start + length] for start, length in kept_ranges(len(payload), edit)]
    if fragment and sum(map(len, pieces)) % 2:
        pieces.append(b"\0")
    return b"".join(pieces)


def kept_ranges(length: int, edit: PayloadEdit) -> Iterable[tuple[int, int]]:
    """Yield (start, length) of what stays of a payload of `length` bytes.

    Raises:
        ValueError: the dropped ranges are not ascending, not apart, or leave the payload.
    """
    position = 0
    for start, size in edit.dropped:
        if start < position or size < 0 or start + size > length:
            raise ValueError("dropped ranges must ascend within the payload")
        if start > position:
            yield position, start - position
        position = start + size
    if position < length:
        yield position, length - position


def clear_bits(payload: Buffer, pattern: bytes) -> bytes:
    """Return the payload with every bit of the repeated pattern set to zero."""
    keep = ~np.frombuffer(pattern, np.uint8)
    values = np.frombuffer(payload, np.uint8)
    whole = len(values) - len(values) % len(keep)
    cleared = np.empty_like(values)
    np.bitwise_and(values[:whole].reshape(-1, len(keep)), keep, out=cleared[:whole].reshape(-1, len(keep)))
    np.bitwise_and(values[whole:], keep[: len(values) - whole], out=cleared[whole:])
    return cleared.tobytes()


def reverse_words(value: Buffer, swap: int) -> bytes:
    """Return the bytes with every word of `swap` bytes (2, 4 or 8) reversed; the length is in whole words."""
    return np.frombuffer(value, np.dtype(f"u{swap}")).byteswap().tobytes()
