import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from deid.elements import UNDEFINED, Buffer, Element, Encoding, elements
from deid.science.seen import Seen

_LARGEST_BYTES = 1 << 18  # of a header that is remembered; a larger one is read whole each time
_MOST_VARYING = 128
# What differs in nearly every series: UIDs, times, numbers, positions, extremes and windows of pixels.
_INSTANCE_LEVEL = frozenset(
    {0x00080013, 0x00080018, 0x00080032, 0x00080033, 0x00200013, 0x00200032, 0x00201041, 0x00280106}
    | {0x00280107, 0x00281050, 0x00281051}
)
_UNDEFINED_LENGTH = 0xFFFFFFFF
_LONG_HEADER_BYTES = 12  # explicit VR with a length of 32 bits (PS3.5 7.1.2)


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive elements that were alike in the headers before, as bytes."""

    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Varying:
    """One element that differs from header to header: how it begins, and how its length is written."""

    tag: int
    vr: str
    head: bytes
    length: struct.Struct


class Reading:
    """Reads the headers of a series one after another, and tells what differs from the one before.

    Headers of a series are nearly alike: bytes that equal those before are the same elements. `seen` holds
    the elements of the last header by tag; of elements with one tag the first counts.
    """

    def __init__(self, encoding: Encoding) -> None:
        """Have read nothing."""
        self.encoding = encoding
        self.seen: dict[int, Seen] = {}
        self._parts: list[_Run | _Varying] = []
        self._varying = set(_INSTANCE_LEVEL)

    def read(self, buffer: Buffer, stop: int) -> set[int]:
        """Read the elements of `buffer[:stop]`; return the tags of what is new, gone or different.

        Raises:
            deid.elements.WalkError: the bytes are no well-formed data set.
        """
        different = self._again(buffer, stop)
        return self._anew(buffer, stop) if different is None else different

    def _again(self, buffer: Buffer, stop: int) -> set[int] | None:
        """Read a header that differs from the one before in elements known to vary; None if it does not."""
        if not self._parts:
            return None
        position = 0
        varied: dict[int, Seen] = {}
        for part in self._parts:
            if isinstance(part, _Run):
                end = position + len(part.raw)
                if bytes(buffer[position:end]) != part.raw:
                    return None
            else:
                begin = position + len(part.head)
                value = begin + part.length.size
                if value > stop or bytes(buffer[position:begin]) != part.head:
                    return None
                (size,) = part.length.unpack_from(buffer, begin)
                end = value + size
                if size == _UNDEFINED_LENGTH or end > stop:
                    return None
                varied[part.tag] = Seen(part.vr, bytes(buffer[value:end]), self.encoding)
            position = end
        if position != stop:
            return None
        different = {tag for tag, seen in varied.items() if seen.value != self.seen[tag].value}
        self.seen.update(varied)
        return different

    def _anew(self, buffer: Buffer, stop: int) -> set[int]:
        found = list(elements(buffer, self.encoding, 0, stop))
        seen: dict[int, Seen] = {}
        for one in found:
            inside = bytes(buffer[one.value : one.value_end])
            seen.setdefault(one.tag, Seen(one.vr, inside, self.encoding))
        before, self.seen = self.seen, seen
        different = {tag for tag in before.keys() | seen.keys() if before.get(tag) != seen.get(tag)}
        self._learn(buffer, found, different & before.keys() & seen.keys())
        return different

    def _learn(self, buffer: Buffer, found: Sequence[Element], varied: set[int]) -> None:
        self._parts = []
        self._varying |= varied
        if not found or found[-1].end > _LARGEST_BYTES or len(self._varying) > _MOST_VARYING:
            return
        if all(one.tag < other.tag for one, other in pairwise(found)):
            self._parts = list(self._cut(buffer, found))

    def _cut(self, buffer: Buffer, found: Sequence[Element]) -> Iterator[_Run | _Varying]:
        for varies, group in groupby(found, lambda one: one.tag in self._varying and one.length != UNDEFINED):
            members = list(group)
            if varies:
                yield from (self._single(buffer, one) for one in members)
            else:
                yield _Run(bytes(buffer[members[0].start : members[-1].end]))

    def _single(self, buffer: Buffer, one: Element) -> _Varying:
        long = self.encoding.implicit or one.value - one.start == _LONG_HEADER_BYTES
        length = struct.Struct(self.encoding.order + ("I" if long else "H"))
        return _Varying(one.tag, one.vr, bytes(buffer[one.start : one.value - length.size]), length)
