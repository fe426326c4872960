from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from deid.elements import Buffer, Element, Encoding, elements, items
from deid.rectangles import Rectangle

_REGIONS = 0x00186011
# PS3.3 C.8.5.5: columns and rows of the first and of the last pixel of a region.
_MIN_X, _MIN_Y, _MAX_X, _MAX_Y = 0x00186018, 0x0018601A, 0x0018601C, 0x0018601E
_CORNERS = (_MIN_X, _MIN_Y, _MAX_X, _MAX_Y)
_CORNER_BYTES = 4  # VR UL
_MOST = 256  # of an image; scanners write a handful


def ultrasound_regions(
    buffer: Buffer, top_level: Sequence[Element], encoding: Encoding
) -> tuple[Rectangle, ...]:
    """Return the regions that an ultrasound image names (PS3.3 C.8.5.5); none where one of them is unclear.

    Raises:
        deid.elements.WalkError: the sequence is no list of items.
    """
    sequence = next((element for element in top_level if element.tag == _REGIONS), None)
    if sequence is None:
        return ()
    found: list[Rectangle] = []
    for item in items(buffer, sequence, encoding):
        corners = _corners(buffer, elements(buffer, item.encoding, item.start, item.stop), item.encoding)
        region = _rectangle(corners)
        if region is None or len(found) == _MOST:
            return ()
        found.append(region)
    return tuple(found)


def _corners(buffer: Buffer, inside: Iterable[Element], encoding: Encoding) -> Mapping[int, int]:
    found: dict[int, int] = {}
    order: Literal["big", "little"] = "big" if encoding is Encoding.EXPLICIT_BE else "little"
    for element in inside:
        if element.tag in _CORNERS and element.length == _CORNER_BYTES:
            found.setdefault(element.tag, int.from_bytes(buffer[element.value : element.end], order))
    return found


def _rectangle(corners: Mapping[int, int]) -> Rectangle | None:
    if len(corners) != len(_CORNERS):
        return None
    left, top, right, bottom = (corners[tag] for tag in _CORNERS)
    if right < left or bottom < top:
        return None
    return Rectangle(left, top, right - left + 1, bottom - top + 1)
