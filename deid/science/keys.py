from collections.abc import Iterable, Mapping
from functools import cache

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from deid.vr import is_private_creator

# A public attribute by its tag; a private one by creator, group and low byte of the element number.
Key = int | tuple[str, int, int]

PRIVATE: Key = ("", 0, 0)  # any private attribute at all
_OF_REPEATING_GROUPS = {"OverlayData": 0x60003000, "CurveData": 0x50003000}
_REPEATING = frozenset({0x50, 0x60})  # high bytes of the groups of curves and overlays (PS3.5 7.6)


def keys_of(text: str) -> tuple[Key, ...]:
    """Return the attributes a field of a table lists, divided by `|` or spaces (PS3.6 keywords only).

    Raises:
        ValueError: what is written there is no attribute.
    """
    return tuple(key for part in text.split("|") for key in _keys(part))


def _keys(part: str) -> Iterable[Key]:
    if part == "private":
        yield PRIVATE
    elif "," in part:
        creator, group, element = part.split(",")
        yield creator, int(group, 16), int(element, 16)
    else:
        for keyword in part.split():
            tag = _OF_REPEATING_GROUPS.get(keyword) or tag_for_keyword(keyword)
            if tag is None:
                raise ValueError(f"{keyword} is no keyword of PS3.6")
            yield tag


def is_private(tag: int) -> bool:
    """Whether a tag is of a private group."""
    return tag >> 16 & 1 == 1


def key_of(tag: int, creators: Mapping[int, str]) -> Key | None:
    """Return the key of an attribute; None for a private one that nobody named, and for creators.

    `creators` are those of the level, by the tag of their element.
    """
    if not is_private(tag):
        return tag & 0xFF00FFFF if tag >> 24 in _REPEATING else tag
    if is_private_creator(tag):
        return None
    creator = creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF)
    return None if creator is None else (creator, tag >> 16, tag & 0xFF)


@cache
def name_of(key: Key) -> str:
    """Return what an attribute is called in words for people."""
    if isinstance(key, int):
        return keyword_for_tag(key) or f"({key >> 16:04X},{key & 0xFFFF:04X})"
    creator, group, element = key
    return f"{creator} ({group:04X},{element:02X})"
