import re

from deid.jpeg_segments import is_filled
from deid.words import ends_in_words

# Markers of ISO/IEC 10918-1 Table B.1 and ISO/IEC 14495-1 (JPEG-LS).
_PREFIX, _SOI, _EOI, _SOS, _COM = 0xFF, 0xD8, 0xD9, 0xDA, 0xFE
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM and the restart markers have no length
_FIRST_APP, _LAST_APP = 0xE0, 0xEF
_JFIF, _COLOUR_TRANSFORM, _ADOBE = 0xE0, 0xE8, 0xEE
# Frame, table and scan segments, DNL ... EXP, JPEG-LS start of frame and preset parameters.
_CODING = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0), 0xF7, 0xF8}) - {0xC8}
# In coded data FF is followed by 00 (JPEG) or by a byte below 80 (JPEG-LS), or begins a restart marker.
_NEXT_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")

# Segments without which a decoder may take the colours for others, in the only forms that hold no text and no
# thumbnail: JFIF (ISO/IEC 10918-5), Adobe's transform, HP's transform of JPEG-LS.
_KEPT_FORMS = {
    _JFIF: re.compile(rb"JFIF\0\x01[\0-\x02][\0-\x02][\0-\x02][\0-\xff][\0-\x02][\0-\xff]\0\0"),
    _ADOBE: re.compile(rb"Adobe\0[\x64\x65][\0\x80\xc0][\0\x01][\0\x80\xc0][\0\x01][\0-\x02]"),
    _COLOUR_TRANSFORM: re.compile(rb"mrfx[\0-\x03]"),
}

Ranges = tuple[tuple[int, int], ...]


def is_jpeg(stream: memoryview) -> bool:
    """Whether a codestream begins as JPEG and JPEG-LS do."""
    return bytes(stream[:3]) == bytes((_PREFIX, _SOI, _PREFIX))


def jpeg_metadata(stream: memoryview) -> Ranges | None:
    """Return the ranges (start, length) of a JPEG or JPEG-LS stream that are no coded image.

    These are application and comment segments and whatever follows the end of the image, one pad byte
    excepted. None where the stream cannot be followed from marker to marker, or holds more than an image
    where decoders do not look: behind a table, or behind the coded data of a scan.
    """
    found: list[tuple[int, int]] = []
    position = 2
    size = len(stream)
    while position + 2 <= size:
        marker = stream[position + 1]
        if stream[position] != _PREFIX:
            return None
        if marker == _PREFIX:  # a fill byte before a marker (10918-1 B.1.1.2)
            position += 1
            continue
        if marker == _EOI:
            return (*found, *trailing(stream, position + 2))
        end = position + 2 if marker in _ALONE else _segment_end(stream, position)
        if end is None:
            return None
        if marker == _COM or _FIRST_APP <= marker <= _LAST_APP:
            if not _is_needed(marker, stream[position + 4 : end]):
                found.append((position, end - position))
        elif marker not in _ALONE:
            end = _coded_end(stream, marker, position + 4, end)
            if end is None:
                return None
        position = end
    return tuple(found)


def _coded_end(stream: memoryview, marker: int, start: int, end: int) -> int | None:
    """Return the end of a coding segment (its content begins at `start`) and of what is coded behind it."""
    if marker not in _CODING or not is_filled(marker, stream[start:end]):
        return None
    if marker != _SOS:
        return end
    # Without a next marker the image is cut short: all the rest is coded data.
    match = _NEXT_MARKER.search(stream, end)
    coded_end = len(stream) if match is None else match.start()
    return None if ends_in_words(stream[end:coded_end]) else coded_end


def _segment_end(stream: memoryview, position: int) -> int | None:
    length = int.from_bytes(stream[position + 2 : position + 4], "big")
    end = position + 2 + length
    return end if length >= 2 and end <= len(stream) else None  # noqa: PLR2004 - counts its own two bytes


def trailing(stream: memoryview, end: int) -> Ranges:
    """Return the range behind the end of an image, unless it is the pad byte that makes a fragment even."""
    rest = len(stream) - end
    padded = rest == 1 and stream[end] == 0 and end % 2
    return () if rest == 0 or padded else ((end, rest),)


def _is_needed(marker: int, content: memoryview) -> bool:
    form = _KEPT_FORMS.get(marker)
    return form is not None and form.fullmatch(content) is not None
