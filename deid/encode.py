import struct
from collections.abc import Iterable

from deid.vr import LONG_VRS

_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2sHI")
_ITEM = struct.Struct("<HHI")
_LONGEST_SHORT_BYTES = 0xFFFE
_LONGEST_BYTES = 0xFFFFFFFE
# PS3.5 6.2: these are padded with NUL, all other text with a space.
_PADDED_WITH_NUL = frozenset({"UI", "OB", "UN"})


class EncodeError(ValueError):
    """A value no element can hold; the message says tag and length."""


def element(tag: int, vr: str, value: bytes) -> bytes:
    """Return one element as explicit VR little endian bytes (PS3.5 7.1.2), padded to even length.

    A value too long for the 16-bit length of its VR is written as UN, as PS3.5 6.2.2 tells (contours of
    structure sets, mostly).

    Raises:
        EncodeError: the value has 4 GiB or more.
    """
    if len(value) % 2:
        value += b"\0" if vr in _PADDED_WITH_NUL else b" "
    size = len(value)
    if size > _LONGEST_SHORT_BYTES and vr not in LONG_VRS:
        vr = "UN"
    if vr in LONG_VRS:
        if size > _LONGEST_BYTES:
            raise EncodeError(f"{size} bytes in {tag:08X}")
        return _LONG.pack(tag >> 16, tag & 0xFFFF, vr.encode(), 0, size) + value
    return _SHORT.pack(tag >> 16, tag & 0xFFFF, vr.encode(), size) + value


def sequence(tag: int, items: Iterable[bytes]) -> bytes:
    """Return a sequence element with items of defined length, each given as its encoded elements."""
    body = b"".join(_ITEM.pack(0xFFFE, 0xE000, len(item)) + item for item in items)
    return element(tag, "SQ", body)
