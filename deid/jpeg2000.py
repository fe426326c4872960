from deid.jpeg import Ranges, trailing

# Markers of ISO/IEC 15444-1 Table A.2, ISO/IEC 15444-15 (CAP, CPF).
_SOC, _COM, _SOT, _SOD, _EOC = 0xFF4F, 0xFF64, 0xFF90, 0xFF93, 0xFFD9
_FIRST_SEGMENT, _LAST_SEGMENT = 0xFF50, 0xFF6F
_TILE_PART_HEADER_BYTES = 12


def is_jpeg2000(stream: memoryview) -> bool:
    """Whether a codestream begins as JPEG 2000 and HTJ2K do."""
    return int.from_bytes(stream[:2], "big") == _SOC


def jpeg2000_metadata(stream: memoryview) -> Ranges | None:
    """Return the ranges (start, length) of a JPEG 2000 codestream that are no coded image.

    These are the comments of the main header and whatever follows the end of the codestream, one pad byte
    excepted. None where the stream cannot be followed, or a tile-part holds a comment: its length field would
    have to change with it.
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
    image_end = _after_tile_parts(stream, position)
    return None if image_end is None else (*found, *trailing(stream, image_end))


def _after_tile_parts(stream: memoryview, position: int) -> int | None:
    """Return the offset behind the end of codestream; None where a tile-part hides something."""
    size = len(stream)
    while (marker := _number(stream, position, 2)) == _SOT:
        length = _number(stream, position + 6, 4)  # Psot; 0: to the end of codestream (15444-1 A.4.2)
        if not _is_plain(stream, position + _TILE_PART_HEADER_BYTES):
            return None
        if length == 0:
            return _last_end(stream)
        position += length
        if length < _TILE_PART_HEADER_BYTES or position > size:
            return None
    return position + 2 if marker == _EOC else None


def _is_plain(stream: memoryview, position: int) -> bool:
    """Whether a tile-part header holds no comment."""
    while (marker := _number(stream, position, 2)) != _SOD:
        end = _segment_end(stream, position, marker)
        if end is None or marker == _COM:
            return False
        position = end
    return True


def _last_end(stream: memoryview) -> int | None:
    """Return the end of a codestream whose last tile-part runs to it: an EOC, and at most a pad byte."""
    for end in (len(stream), len(stream) - 1):
        if _number(stream, end - 2, 2) == _EOC:
            return end
    return None


def _segment_end(stream: memoryview, position: int, marker: int) -> int | None:
    if not _FIRST_SEGMENT <= marker <= _LAST_SEGMENT:
        return None
    length = _number(stream, position + 2, 2)
    end = position + 2 + length
    return end if length >= 2 and end <= len(stream) else None  # noqa: PLR2004 - counts its own two bytes


def _number(stream: memoryview, position: int, size: int) -> int:
    return int.from_bytes(stream[position : position + size], "big")
