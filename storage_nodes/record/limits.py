from dataclasses import dataclass
from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20

MOST_MANIFEST_BYTES: Final = MIB
MOST_INDEX_BYTES: Final = 64 * MIB
HEADER_BLOCK_BYTES: Final = MIB
"""Inflated; a larger header is a block of its own."""
MOST_HTJ2K_FRAME_BYTES: Final = 64 * MIB
"""The codec needs about 3.5 times a frame; larger ones are zstd."""
_FREE_INFLATION_BYTES: Final = 16 * MIB
_INFLATION_RATIO: Final = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader will hold in memory at once, bytes inflated; the writer keeps to the defaults."""

    header_block_bytes: int = 256 * MIB
    payload_bytes: int = 1024 * MIB


DEFAULT_LIMITS: Final = Limits()


def inflation_is_sane(decoded_bytes: int, stored_bytes: int) -> bool:
    """Say whether so much may come of so little; a writer never exceeds it (FORMAT.md)."""
    return decoded_bytes <= max(_FREE_INFLATION_BYTES, _INFLATION_RATIO * stored_bytes)


def most_table_bytes(index_bytes: int) -> int:
    """Bound what the tables of an index of this length may inflate to."""
    return 64 * KIB + 16 * index_bytes
