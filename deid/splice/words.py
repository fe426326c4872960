"""In which words big endian pixels of more than 16 bits lie: the standard and many writers differ."""

import numpy as np

from deid.elements import Buffer

# What is looked at; the answer must not hang on how much of a value its reader holds.
LOOKED_AT_BYTES = 8 << 20

_HALF_BYTES = 2
_LONG_CELLS = frozenset({32, 64})


def may_be_whole(vr: str, bits_allocated: int | None) -> bool:
    """Whether big endian pixels may have been written cell by cell instead of in words of OW."""
    return vr == "OW" and bits_allocated in _LONG_CELLS


def are_whole(value: Buffer, bits_allocated: int) -> bool:
    """Tell whether pixel cells lie as big endian numbers, highest byte first.

    PS3.5 7.3 and 8.1.1 cut a cell of OW into words of 16 bits, the lowest first, and turn each round; writers
    that know numbers only turn the cell round. In an image the high half of a cell changes more rarely from
    pixel to pixel than the low half: where it comes first, the cell was turned round. Where neither half
    changes more than the other the standard is believed.
    """
    cell_bytes = bits_allocated // 8
    size = min(len(value), LOOKED_AT_BYTES)
    halves = np.frombuffer(value[: size - size % cell_bytes], "<u2").reshape(-1, cell_bytes // _HALF_BYTES)
    first, last = (np.count_nonzero(np.diff(halves[:, place])) for place in (0, -1))
    return bool(first < last)
