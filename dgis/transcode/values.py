from collections.abc import Iterable, Iterator

from deid.elements import Buffer, Encoding
from deid.vr import LONG_VRS

PIXELS = 0x7FE00010
ANY_PIXELS = frozenset({PIXELS, 0x7FE00008, 0x7FE00009})  # of whole numbers, of floats
_BITS_IN_BYTE = 8
_CELLS = frozenset({16, 32, 64})
_LONGEST_SHORT_BYTES = 0xFFFF

# PS3.5 7.3: the bytes that change places between big and little endian. AT is two words.
_WORD_BYTES = {
    "AT": 2, "OW": 2, "SS": 2, "US": 2,
    "FL": 4, "OF": 4, "OL": 4, "SL": 4, "UL": 4,
    "FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8,
}  # fmt: skip


def word_bytes(tag: int, vr: str, encoding: Encoding, bits_allocated: int | None) -> int:
    """Return the size of the words to swap so that a value becomes little endian; 1: nothing to swap."""
    if encoding is not Encoding.EXPLICIT_BE:
        return 1
    if tag == PIXELS and vr == "OB" and bits_allocated in _CELLS:
        # OB has no words, yet cells above 8 bits are written in it against PS3.5 A.3: then a cell is a word.
        return bits_allocated // _BITS_IN_BYTE
    return _WORD_BYTES.get(vr, 1)


def swapped(pieces: Iterable[Buffer], width: int) -> Iterator[Buffer]:
    """Reverse every word of `width` bytes; words may lie across pieces, an incomplete last one stays."""
    if width == 1:
        yield from pieces
        return
    rest = b""
    for piece in pieces:
        whole = rest + bytes(piece)
        size = len(whole) - len(whole) % width
        turned = bytearray(size)
        for place in range(width):
            turned[place::width] = whole[width - 1 - place : size : width]
        rest = whole[size:]
        yield turned
    yield rest


def header(tag: int, vr: str, length: int, encoding: Encoding) -> bytes:
    """Return the header of an element in little endian (PS3.5 7.1.2, 7.1.3).

    A value too long for the 16-bit length of its VR becomes UN (PS3.5 6.2.2).
    """
    number = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    if encoding.implicit:
        return number + length.to_bytes(4, "little")
    if length > _LONGEST_SHORT_BYTES and vr not in LONG_VRS:
        vr = "UN"
    if vr in LONG_VRS:
        return number + vr.encode() + b"\0\0" + length.to_bytes(4, "little")
    return number + vr.encode() + length.to_bytes(2, "little")
