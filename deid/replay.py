from bisect import bisect_left
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import NamedTuple

from deid.elements import Element, Encoding, elements
from deid.header import Header
from deid.memo import Done
from deid.splice.layout import LAYOUT_TAGS
from deid.walk import CODED_TAGS, Walker

_LARGEST_BYTES = 1 << 18
_MOST_VARYING = 128
# What differs from image to image in nearly every series, so that the second one is already taken over: UIDs,
# numbers, times, positions, extremes and windows of pixels, frame times.
_INSTANCE_LEVEL = frozenset(
    {0x00080013, 0x00080018, 0x00080032, 0x00080033, 0x00200012, 0x00200013, 0x00200032, 0x00201041}
    | {0x00280106, 0x00280107, 0x00281050, 0x00281051, 0x00541300, 0x00541330}
)
_PIXEL_GROUP_LENGTH = 0x7FE00000


class Replayed(NamedTuple):
    """A header as far as it was taken over: its published bytes, what was done, and where it ends."""

    data: bytes
    done: tuple[Done, ...]
    layout: list[Element]
    end: int


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive elements of the header before, and their outcome; `origin` is the offset they lay at.

    Where `raw` is empty the run is one element that varies: `data` and `done` are what is published before
    it.
    """

    tag: int
    origin: int
    raw: bytes = field(repr=False)
    data: bytes = field(repr=False)
    done: tuple[Done, ...] = field(repr=False)
    values: Mapping[int, bytes] = field(repr=False)
    layout: tuple[Element, ...]


class Replay:
    """Headers of a series are nearly alike: what equals the header before is taken over, not walked again.

    Equal bytes at the border of an element parse alike, and for one subject have one outcome: taking over
    that of a run of elements gives what walking them would give. Elements once seen to vary are walked
    every time.
    """

    def __init__(self, walker: Walker, encoding: Encoding) -> None:
        """Know nothing yet."""
        self._walker = walker
        self._encoding = encoding
        self._runs: tuple[_Run, ...] = ()
        self._tail: tuple[Done, ...] = ()
        self._seen: dict[int, bytes] = {}
        self._varying = set(_INSTANCE_LEVEL)
        self._of_subject: tuple[bytes | None, ...] = ()

    def attempt(self, header: Header) -> Replayed | None:
        """Take over what is known of a header; None where it is unlike the one before, or another subject's.

        Notes the header's values on the way.

        Raises:
            WalkError: an element that varies is damaged.
        """
        if not self._runs:
            return None
        buffer, encoding, walker = header.buffer, self._encoding, self._walker
        data: list[bytes] = []
        done: list[Done] = []
        layout: list[Element] = []
        position = 0
        for run in self._runs:
            if run.raw:
                end = position + len(run.raw)
                if bytes(buffer[position:end]) != run.raw:
                    return None
                data.append(run.data)
                done += run.done
                header.values.update(run.values)
                layout += run.layout if position == run.origin else _moved(run, position)
            else:
                element = next(elements(buffer, encoding, position), None)
                if element is None or element.tag != run.tag:
                    return None
                header.note(element)
                if element.tag in LAYOUT_TAGS:
                    layout.append(element)
                finished = walker.top_level(buffer, element, encoding)
                data += (run.data, finished.data)
                done += (*run.done, finished)
                end = element.end
            position = end
        if header.of_subject() != self._of_subject:
            return None
        data += (one.data for one in self._tail)
        return Replayed(b"".join(data), (*done, *self._tail), layout, position)

    def learn(self, header: Header, found: Sequence[Element], done: Mapping[int, Done]) -> None:
        """Remember a header that was walked: its elements, what became of them, and what was added."""
        self._runs = ()
        if self._walker.keeps_private or not found or found[-1].end > _LARGEST_BYTES:
            return
        if found[-1].tag > _PIXEL_GROUP_LENGTH:
            return  # offset tables of other pixels
        if any(one.tag >= other.tag for one, other in pairwise(found)):
            return
        raw = {one.tag: bytes(header.buffer[one.start : one.end]) for one in found}
        self._varying |= {tag for tag, old in self._seen.items() if raw.get(tag, old) != old}
        self._seen = raw
        if len(self._varying) > _MOST_VARYING or self._varying & CODED_TAGS:
            return
        self._of_subject = header.of_subject()
        published = sorted(done)
        runs: list[_Run] = []
        place = 0
        for members in _grouped(found, self._varying):
            varies = members[0].tag in self._varying
            # Of an element that varies only what was added before it is known.
            stop = bisect_left(published, members[-1].tag + (not varies), place)
            outcome = tuple(done[tag] for tag in published[place:stop])
            runs.append(_run(header, members, outcome, varies=varies))
            place = bisect_left(published, members[-1].tag + 1, stop)
        self._runs = tuple(runs)
        self._tail = tuple(done[tag] for tag in published[place:])


def _grouped(found: Sequence[Element], varying: Container[int]) -> Iterator[list[Element]]:
    """Yield elements that vary one by one, and what lies between them together."""
    for varies, group in groupby(found, lambda one: one.tag in varying):
        if varies:
            yield from ([one] for one in group)
        else:
            yield list(group)


def _run(header: Header, members: Sequence[Element], outcome: tuple[Done, ...], *, varies: bool) -> _Run:
    first, last = members[0], members[-1]
    return _Run(
        tag=first.tag,
        origin=first.start,
        raw=b"" if varies else bytes(header.buffer[first.start : last.end]),
        data=b"".join(one.data for one in outcome),
        done=outcome,
        values={one.tag: header.values[one.tag] for one in members if one.tag in header.values},
        layout=tuple(one for one in members if one.tag in LAYOUT_TAGS),
    )


def _moved(run: _Run, position: int) -> list[Element]:
    by = position - run.origin
    return [
        Element(one.tag, one.vr, one.start + by, one.value + by, one.length, one.end + by)
        for one in run.layout
    ]
