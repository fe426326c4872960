import struct
from collections.abc import Mapping

# Siemens CSA headers as deid.csa writes them down; read here once more, on its own.
_START_BYTES, _COUNT_AT = 16, 8
_TAG, _ITEMS_AT = 84, 76
_NAME_BYTES = 64
_ITEM, _LENGTH_AT = 16, 4


def csa_values(blob: bytes) -> Mapping[bytes, tuple[bytes, ...]] | None:
    """Return the values of a Siemens CSA header (SV10) by tag; None if it is none.

    Trailing empty values are left out.
    """
    try:
        return _values(blob) if blob.startswith(b"SV10") else None
    except struct.error:
        return None


def _values(blob: bytes) -> Mapping[bytes, tuple[bytes, ...]]:
    """Read all tags.

    Raises:
        struct.error: a number lies beyond the end.
    """
    (count,) = struct.unpack_from("<I", blob, _COUNT_AT)
    position = _START_BYTES
    found: dict[bytes, tuple[bytes, ...]] = {}
    for _ in range(count):
        (items,) = struct.unpack_from("<i", blob, position + _ITEMS_AT)
        name = blob[position : position + _NAME_BYTES].partition(b"\0")[0]
        position += _TAG
        texts: list[bytes] = []
        for _ in range(items):
            (length,) = struct.unpack_from("<i", blob, position + _LENGTH_AT)
            begin = position + _ITEM
            texts.append(blob[begin : begin + max(length, 0)].partition(b"\0")[0].strip(b" "))
            position = begin + (max(length, 0) + 3) // 4 * 4
        while texts and not texts[-1]:
            texts.pop()
        found[name] = tuple(texts)
    return found
