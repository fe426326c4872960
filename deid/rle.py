import struct
from itertools import pairwise

from deid.jpeg import Ranges

# PS3.5 Annex G: sixteen words, the number of segments and their offsets; then PackBits runs.
_HEADER = struct.Struct("<16I")
_MOST_SEGMENTS = 15
_NOTHING, _RUN = 128, 257


def rle_metadata(stream: memoryview, segments: int, segment_bytes: int) -> Ranges | None:
    """Return the range behind the last run of an RLE frame, one pad byte excepted.

    `segments` is how many there must be, one for each byte of a pixel, `segment_bytes` what every one decodes
    to. None where the segments do not lie one behind the other, are more, or decode to something else: bytes
    no decoder looks at could be anything.
    """
    if len(stream) < _HEADER.size:
        return None
    count, *offsets = _HEADER.unpack_from(stream)
    if not 0 < count == segments <= _MOST_SEGMENTS or any(offsets[count:]) or offsets[0] != _HEADER.size:
        return None
    if max(offsets) > len(stream):
        return None
    data = bytes(stream)
    borders = [*offsets[:count], len(data)]
    gap, end = b"", 0
    for start, limit in pairwise(borders):
        if len(gap) > 1 or any(gap):
            return None
        found = _run_end(data, start, limit, segment_bytes)
        if found is None:
            return None
        end, gap = found, data[found:limit]
    return () if len(gap) <= 1 and not any(gap) else ((end, len(gap)),)


def _run_end(data: bytes, position: int, limit: int, wanted: int) -> int | None:
    """Return the offset behind the run that completes a segment."""
    while wanted > 0 and position < limit:
        head = data[position]
        if head < _NOTHING:
            position += head + 2
            wanted -= head + 1
        else:
            position += 1 if head == _NOTHING else 2
            wanted -= 0 if head == _NOTHING else _RUN - head
    return position if wanted == 0 and position <= limit else None


def rle_planes(stream: memoryview) -> list[bytes]:
    """Return what the segments of a frame decode to; its runs were followed before (`rle_metadata`)."""
    count, *offsets = _HEADER.unpack_from(stream)
    data = bytes(stream)
    limits = [*offsets[1:count], len(data)]
    return [_decoded(data[start:stop]) for start, stop in zip(offsets[:count], limits, strict=True)]


def _decoded(segment: bytes) -> bytes:
    found = bytearray()
    position = 0
    while position + 1 < len(segment):
        head = segment[position]
        if head < _NOTHING:
            found += segment[position + 1 : position + head + 2]
            position += head + 2
        else:
            found += segment[position + 1 : position + 2] * (0 if head == _NOTHING else _RUN - head)
            position += 1 if head == _NOTHING else 2
    return bytes(found)
