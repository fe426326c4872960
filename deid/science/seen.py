from collections.abc import Iterator, Mapping
from typing import NamedTuple

from deid.elements import Buffer, Element, Encoding, elements, items
from deid.vr import is_private_creator, standard_vr


class Seen(NamedTuple):
    """One element as it was read: its VR in the stream, its value, and how what is nested is encoded."""

    vr: str
    value: bytes
    encoding: Encoding

    @property
    def says(self) -> bool:
        """Whether there is a value."""
        return bool(self.value.strip(b" \0")) or (bool(self.value) and self.vr in _BINARY)


_BINARY = frozenset({"AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV"}) | frozenset(
    {"UL", "UN", "US", "UV"}
)


def is_sequence(tag: int, seen: Seen) -> bool:
    """Whether the value is a list of items that can be looked into."""
    return seen.vr == "SQ" or (seen.vr == "UN" and standard_vr(tag) == "SQ")


def levels(tag: int, seen: Seen) -> Iterator[dict[int, Seen]]:
    """Yield the elements of each item of a sequence by tag.

    Raises:
        deid.elements.WalkError: the value is no list of items.
    """
    value = seen.value
    whole = Element(tag, seen.vr, 0, 0, len(value), len(value))
    for item in items(value, whole, seen.encoding):
        yield level_of(value, item.encoding, item.start, item.stop)


def level_of(buffer: Buffer, encoding: Encoding, start: int, stop: int) -> dict[int, Seen]:
    """Return the elements of one level by tag; of elements with one tag the first counts.

    Raises:
        deid.elements.WalkError: the bytes are no well-formed list of elements.
    """
    level: dict[int, Seen] = {}
    for one in elements(buffer, encoding, start, stop):
        level.setdefault(one.tag, Seen(one.vr, bytes(buffer[one.value : one.value_end]), encoding))
    return level


def creators_of(level: Mapping[int, Seen]) -> dict[int, str]:
    """Return the private creators of a level, by the tag of the element that names them (PS3.5 7.8.1)."""
    return {
        tag: seen.value.strip(b" \0").decode("latin_1")
        for tag, seen in level.items()
        if is_private_creator(tag)
    }
