import struct

from deid.jpeg import Ranges

# PS3.5 Annex G: sixteen words, the number of segments and their offsets; then PackBits runs.
_HEADER = struct.Struct("<16I")
_MOST_SEGMENTS = 15
_NOTHING, _RUN = 128, 257


def rle_metadata(stream: memoryview, segment_bytes: int) -> Ranges | None:
    """Return the range behind the last run of an RLE frame, one pad byte excepted.

    `segment_bytes` is what every segment decodes to: one byte of each pixel. None where the segments do not
    lie one behind the other, or decode to something else: bytes no decoder looks at could be anything.
    """
    if len(stream) < _HEADER.size:
        return None
    count, *offsets = _HEADER.unpack_from(stream)
    if not 0 < count <= _MOST_SEGMENTS or any(offsets[count:]) or offsets[0] != _HEADER.size:
        return None
    data = bytes(stream)
    for start, limit in zip(offsets[:count], [*offsets[1:count], len(data)], strict=True):
        end = _run_end(data, start, limit, segment_bytes)
        if end is None:
            return None
        gap = data[end:limit]
        if limit == len(data):
            return () if len(gap) <= 1 and not any(gap) else ((end, len(gap)),)
        if len(gap) > 1 or any(gap):
            return None
    return None


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
