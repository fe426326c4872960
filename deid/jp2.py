from collections.abc import Iterator
from typing import NamedTuple

from deid.jpeg import Ranges
from deid.jpeg2000 import jpeg2000_metadata

# The file format JP2 (ISO/IEC 15444-1 Annex I): boxes of length, kind and content around a codestream.
SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 16
_HEADER, _COLOUR, _CODESTREAM = b"jp2h", b"colr", b"jp2c"
# Of the header: size of the image, bits of a component, colour space, resolution. A palette or an order of
# channels would be missed in the codestream alone.
_DISPENSABLE = frozenset({b"ihdr", b"bpcc", b"res ", _COLOUR})
# I.5.3.3: method 1 (a number, not a profile), then sRGB or greyscale: what the numbers of the codestream are.
_PLAIN_COLOURS = frozenset({b"\0\0\0\x10", b"\0\0\0\x11"})


class _Box(NamedTuple):
    kind: bytes
    start: int  # of the content
    end: int


def is_jp2(stream: memoryview) -> bool:
    """Whether a frame is a JP2 file, which PS3.5 A.4.4 forbids and some writers send."""
    return bytes(stream[: len(SIGNATURE)]) == SIGNATURE


def jp2_metadata(stream: memoryview) -> Ranges | None:
    """Return the ranges of a JP2 file that are no coded image: all but the codestream, and its comments.

    None where the boxes cannot be followed, or say something without which the codestream is another image.
    """
    try:
        boxes = list(_boxes(stream, 0, len(stream)))
        inside = [one for box in boxes if box.kind == _HEADER for one in _boxes(stream, box.start, box.end)]
    except ValueError:
        return None
    codestreams = [box for box in boxes if box.kind == _CODESTREAM]
    if len(codestreams) != 1 or not all(_is_dispensable(stream, one) for one in inside):
        return None
    _kind, start, end = codestreams[0]
    found = jpeg2000_metadata(stream[start:end])
    if found is None:
        return None
    behind = ((end, len(stream) - end),) if end < len(stream) else ()
    return ((0, start), *((start + offset, length) for offset, length in found), *behind)


def _is_dispensable(stream: memoryview, box: _Box) -> bool:
    if box.kind != _COLOUR:
        return box.kind in _DISPENSABLE
    return (
        bytes(stream[box.start : box.start + 1]) == b"\1"
        and bytes(stream[box.start + 3 : box.end]) in _PLAIN_COLOURS
    )


def _boxes(stream: memoryview, position: int, stop: int) -> Iterator[_Box]:
    """Walk the boxes of one level.

    Raises:
        ValueError: one passes the end of what holds it.
    """
    while position < stop:
        if stop - position < _HEADER_BYTES and not any(stream[position:stop]):
            return  # what pads a fragment
        length = int.from_bytes(stream[position : position + 4], "big")
        kind = bytes(stream[position + 4 : position + _HEADER_BYTES])
        start = position + _HEADER_BYTES
        if length == 1:  # the real length follows, in eight bytes
            start = position + _LONG_HEADER_BYTES
            length = int.from_bytes(stream[position + _HEADER_BYTES : start], "big")
        end = position + length if length else stop  # 0: to the end
        if not start <= end <= stop:
            raise ValueError("a box passes the end")
        yield _Box(kind, start, end)
        position = end
