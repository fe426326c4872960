"""The index as a value: who is in the record, and where everything lies (FORMAT.md "index")."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from storage_nodes.record.headers import BlockEntry
from storage_nodes.record.values import Codec, FrameLayout

DIGEST_BYTES: Final = 32
"""SHA-256."""
PAYLOAD_COLUMNS: Final = (
    ("codec", np.dtype("<u1")),
    ("flags", np.dtype("<u1")),
    ("stored_bytes", np.dtype("<u4")),
    ("decoded_bytes", np.dtype("<u4")),
    ("decoded_crc32", np.dtype("<u4")),
)
"""In the order of FORMAT.md; the names are those of `PayloadEntry`."""


@dataclass(frozen=True, slots=True)
class ElementEntry:
    """What the pixel elements of many instances have in common."""

    tag: int
    vr: str
    encapsulated: bool
    layout: FrameLayout | None


@dataclass(frozen=True, slots=True)
class InstanceEntry:
    """One instance of a record.

    Attributes:
        before_bytes: length of the data elements in front of the pixel element.
        offset_table_bytes: length of the basic offset table's value.
        after_bytes: length of the data elements behind the pixel element.
        element: None where it has no pixel element.
        payloads: how many; 0 where it has no pixel element or an empty one.
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str
    before_bytes: int
    offset_table_bytes: int
    after_bytes: int
    element: ElementEntry | None
    payloads: int

    @property
    def header_bytes(self) -> int:
        """Length of its header in the block."""
        return self.before_bytes + self.offset_table_bytes + self.after_bytes


@dataclass(frozen=True, slots=True)
class PayloadEntry:
    """One payload of a record: bytes as they lie and decoded, SHA-256 as it lies, CRC-32 decoded."""

    codec: Codec
    flags: int
    stored_bytes: int
    decoded_bytes: int
    decoded_crc32: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Payloads:
    """All payload entries, by column: an enhanced instance may have 100,000 of them."""

    columns: dict[str, NDArray[Any]]
    digests: bytes

    def __len__(self) -> int:
        return len(self.digests) // DIGEST_BYTES

    def __getitem__(self, number: int) -> PayloadEntry:
        values = {name: int(column[number]) for name, column in self.columns.items()}
        codec = Codec(values.pop("codec"))
        start = number * DIGEST_BYTES
        return PayloadEntry(codec, **values, sha256=self.digests[start : start + DIGEST_BYTES])

    def __iter__(self) -> Iterator[PayloadEntry]:
        return (self[number] for number in range(len(self)))

    @staticmethod
    def of(entries: Sequence[PayloadEntry]) -> "Payloads":
        """Turn entries into columns."""
        columns = {
            name: np.array([getattr(entry, name) for entry in entries], kind)
            for name, kind in PAYLOAD_COLUMNS
        }
        return Payloads(columns, b"".join(entry.sha256 for entry in entries))


@dataclass(frozen=True)
class Index:
    """All entries, and the offsets that follow from them."""

    instances: Sequence[InstanceEntry]
    payloads: Payloads
    blocks: Sequence[BlockEntry]

    @cached_property
    def payload_starts(self) -> NDArray[np.int64]:
        """Where each payload begins in `frames`; one more: where the last ends."""
        return running_sum(self.payloads.columns["stored_bytes"])

    @cached_property
    def decoded_starts(self) -> NDArray[np.int64]:
        """Running sum of decoded lengths; one more than there are payloads."""
        return running_sum(self.payloads.columns["decoded_bytes"])

    @cached_property
    def block_starts(self) -> Sequence[int]:
        """Where each block begins in `headers`; one more: where the last ends."""
        return list(accumulate((entry.stored_bytes for entry in self.blocks), initial=0))

    @cached_property
    def first_payloads(self) -> Sequence[int]:
        """Number of the first payload of each instance; one more: how many there are."""
        return list(accumulate((entry.payloads for entry in self.instances), initial=0))

    @cached_property
    def header_places(self) -> Sequence[tuple[int, int]]:
        """Block of each instance's header, and where the header begins in the inflated block."""
        places = []
        entries = iter(self.instances)
        for number, block in enumerate(self.blocks):
            position = 0
            for _ in range(block.instances):
                places.append((number, position))
                position += next(entries).header_bytes
        return places


def running_sum(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Sum up lengths, beginning with 0."""
    sums = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=sums[1:])
    return sums
