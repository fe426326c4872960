from deid.jpeg import Ranges, trailing
from deid.words import ends_in_words, hides_words

# Markers of ISO/IEC 15444-1 Table A.2, ISO/IEC 15444-15 (CAP, CPF).
_SOC, _COM, _SOT, _SOD, _EOC = 0xFF4F, 0xFF64, 0xFF90, 0xFF93, 0xFFD9
_SIZ, _CRG, _PLT = 0xFF51, 0xFF63, 0xFF58
_SIZ_BYTES, _SIZ_COMPONENT_BYTES = 36, 3
# CAP, SIZ, COD, COC; QCD, QCC, RGN, POC; PRF, CPF: what the image is coded with.
_CODING = frozenset({*range(0xFF50, 0xFF54), *range(0xFF5C, 0xFF60), 0xFF56, 0xFF59})
# TLM, PLM, PPM, PPT, CRG: lengths, headers of packets, places of components.
_NUMBERS = frozenset({0xFF55, 0xFF57, 0xFF60, 0xFF61, _CRG})
_MOST_CODING_BYTES = 1024  # of a segment; SIZ has more where there are many components
_TILE_PART_HEADER_BYTES = 12


def is_jpeg2000(stream: memoryview) -> bool:
    """Whether a codestream begins as JPEG 2000 and HTJ2K do."""
    return int.from_bytes(stream[:2], "big") == _SOC


def jpeg2000_metadata(stream: memoryview) -> Ranges | None:
    """Return the ranges (start, length) of a JPEG 2000 codestream that are no coded image.

    These are the comments of the main header, those some writers leave behind the last tile-part, and
    whatever follows the end of the codestream, one pad byte excepted. None where the stream cannot be
    followed, or a tile-part holds a comment: its length field would have to change with it; or where text
    stands in segments that decoders step over.
    """
    found: list[tuple[int, int]] = []
    position = 2
    while True:
        marker = _number(stream, position, 2)
        if marker == _SOT:
            break
        end = _segment_end(stream, position, marker)
        if end is None:
            return None
        if marker == _COM:
            found.append((position, end - position))
        position = end
    tiles_end = _after_tile_parts(stream, position)
    if tiles_end is None:
        return None
    position = tiles_end
    while _number(stream, position, 2) == _COM:  # against 15444-1 A.9.2: in headers only
        end = _segment_end(stream, position, _COM)
        if end is None:
            return None
        found.append((position, end - position))
        position = end
    if _number(stream, position, 2) != _EOC:
        return None
    return (*found, *trailing(stream, position + 2))


def _after_tile_parts(stream: memoryview, position: int) -> int | None:
    """Return the offset behind the last tile-part; None where a tile-part hides something."""
    size = len(stream)
    while _number(stream, position, 2) == _SOT:
        length = _number(stream, position + 6, 4)  # Psot; 0: to the end of codestream (15444-1 A.4.2)
        end = position + length if length else _last_end(stream)
        if end is None or not position + _TILE_PART_HEADER_BYTES <= end <= size:
            return None
        if not _is_plain(stream, position + _TILE_PART_HEADER_BYTES, end):
            return None
        if length == 0:
            return end
        position = end
    return position


def _is_plain(stream: memoryview, position: int, tile_end: int) -> bool:
    """Whether a tile-part holds no comment, no text behind its packets, and their lengths are right."""
    lengths: list[bytes] = []
    while (marker := _number(stream, position, 2)) != _SOD:
        end = _segment_end(stream, position, marker)
        if end is None or marker == _COM:
            return False
        if marker == _PLT:
            lengths.append(bytes(stream[position + 5 : end]))
        position = end
    data = stream[position + 2 : tile_end]
    return not ends_in_words(data) and (not lengths or _packets(b"".join(lengths)) == len(data))


def _packets(lengths: bytes) -> int:
    """Return the bytes of all packets: seven bits of a number a byte, the eighth where more come (A.7.3)."""
    total = number = 0
    for byte in lengths:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - see above
            total, number = total + number, 0
    return total


def _last_end(stream: memoryview) -> int | None:
    """Return the end of a last tile-part that runs to that of the codestream: an EOC, at most a pad byte."""
    for end in (len(stream), len(stream) - 1):
        if _number(stream, end - 2, 2) == _EOC:
            return end - 2
    return None


def _segment_end(stream: memoryview, position: int, marker: int) -> int | None:
    length = _number(stream, position + 2, 2)
    end = position + 2 + length
    fits = length >= 2 and end <= len(stream)  # noqa: PLR2004 - counts its own two bytes
    return end if fits and _is_known(marker, stream[position + 4 : end]) else None


def _is_known(marker: int, content: memoryview) -> bool:
    """Whether a segment is one of the standard's and can hold no text that a decoder would not miss."""
    if marker == _SIZ:
        components = _number(content, _SIZ_BYTES - 2, 2)
        return len(content) == _SIZ_BYTES + _SIZ_COMPONENT_BYTES * components
    if marker in _NUMBERS:
        return not hides_words("OB", bytes(content))
    return marker in {_COM, _PLT} or (marker in _CODING and len(content) <= _MOST_CODING_BYTES)


def _number(stream: memoryview, position: int, size: int) -> int:
    return int.from_bytes(stream[position : position + size], "big")
