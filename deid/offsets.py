import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise

from deid.splice import Hole

_ITEM_HEADER_BYTES = 8


def plain_offset_table(table: bytes, fragments: Sequence[Hole]) -> bytes:
    """Return a basic offset table (PS3.5 A.4) whose every offset is that of a fragment, else an empty one.

    A table nobody checks is a place to hide bytes in; without one readers go by the fragments.
    """
    if len(table) % 4 or not table:
        return b""
    offsets = struct.unpack(f"<{len(table) // 4}I", table)
    return table if _are_starts(offsets, fragments) else b""


def is_plain_extended(offsets: bytes, lengths: bytes, fragments: Sequence[Hole]) -> bool:
    """Whether extended offset table and lengths (PS3.3 C.7.6.3) say what the fragments say, one a frame."""
    if not offsets or len(offsets) % 8 or len(offsets) != len(lengths) or len(offsets) // 8 != len(fragments):
        return False
    form = f"<{len(offsets) // 8}Q"
    # A length may leave out the pad byte that makes a fragment even.
    fitting = (
        hole.length - length in {0, 1}
        for hole, length in zip(fragments, struct.unpack(form, lengths), strict=True)
    )
    return _are_starts(struct.unpack(form, offsets), fragments) and all(fitting)


def _are_starts(offsets: Sequence[int], fragments: Sequence[Hole]) -> bool:
    starts = {0, *accumulate(hole.length + _ITEM_HEADER_BYTES for hole in fragments)}
    ascending = all(one < other for one, other in pairwise(offsets))
    return ascending and offsets[0] == 0 and starts.issuperset(offsets)
