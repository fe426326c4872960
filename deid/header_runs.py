from bisect import bisect_left
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from deid.elements import Buffer, Element
from deid.memo import Done
from deid.splice import Split
from deid.vr import block_of, is_private
from deid.walk import private_creator

_TAG_BYTES = 4
_WHOSE = frozenset({0x00100020, 0x0020000D})  # patient's ID, study
_ROOM_BYTES = 4096  # by which a header may be longer than the one before
NOTHING = Done(b"")


class Run(NamedTuple):
    """Consecutive elements of a known header (`found[first:stop]`), their bytes and their outcome.

    Of one element that varies `data` and `done` are what is published in front of it; where it is private,
    `creator` is that of its block, and `kept` says whether anything of it was published.
    """

    first: int
    stop: int
    varies: bool
    last_tag: int
    raw: bytes
    data: bytes
    done: tuple[Done, ...]
    values: Mapping[int, bytes]
    creator: str
    kept: bool


class KnownHeader(NamedTuple):
    """A header that was walked: the bytes up to the pixels, and what became of them.

    `values` are those a header notes, `done` is by tag, `published` its tags in order, `added` the tags that
    are put in whatever the original holds.
    """

    values: Mapping[int, bytes]
    raw: bytes
    found: Sequence[Element]
    split: Split
    done: Mapping[int, Done]
    published: Sequence[int]
    added: Container[int]

    def is_of_same(self, buffer: Buffer) -> bool:
        """Whether a header may be of the same study and patient: it has that of both byte by byte."""
        head = bytes(buffer[: len(self.raw) + _ROOM_BYTES])
        return all(self.raw[one.start : one.end] in head for one in self.found if one.tag in _WHOSE)

    def runs(self, varying: Container[int]) -> Iterator[Run]:
        """Yield elements that vary one by one, and what lies between them together."""
        found = self.found
        for varies, group in groupby(range(len(found)), lambda index: found[index].tag in varying):
            places = list(group)
            if varies:
                yield from (self.run(place, place + 1, varies=True) for place in places)
            else:
                yield self.run(places[0], places[-1] + 1)

    def run(self, first: int, stop: int, *, varies: bool = False) -> Run:
        """Return a run; of an element that varies, what it was does not count, unless it is put in by us."""
        members = self.found[first:stop]
        last = members[-1].tag
        begin = bisect_left(self.published, self.found[first - 1].tag + 1) if first else 0
        end = bisect_left(self.published, last if varies and last not in self.added else last + 1)
        outcome = tuple(self.done[tag] for tag in self.published[begin:end])
        return Run(
            first,
            stop,
            varies,
            last,
            raw=self.raw[members[0].start : members[-1].end],
            data=b"".join(one.data for one in outcome),
            done=outcome,
            values={one.tag: self.values[one.tag] for one in members if one.tag in self.values},
            creator=self._creator(last) if varies and is_private(last) else "",
            kept=bool(self.done.get(last, NOTHING).data),
        )

    def difference(self, run: Run, buffer: Buffer, position: int) -> int | None:
        """Return which element of a run differs first; None where another one stands in its place."""
        for index in range(run.first, run.stop):
            known = self.found[index]
            raw = self.raw[known.start : known.end]
            now = bytes(buffer[position : position + len(raw)])
            if now != raw:
                return index if now[:_TAG_BYTES] == raw[:_TAG_BYTES] else None
            position += len(raw)
        return None

    def divided(self, run: Run, index: int) -> list[Run]:
        """Return what a run becomes when one of its elements varies from now on."""
        parts = [self.run(index, index + 1, varies=True)]
        if run.first < index:
            parts.insert(0, self.run(run.first, index))
        if index + 1 < run.stop:
            parts.append(self.run(index + 1, run.stop))
        return parts

    def _creator(self, tag: int) -> str:
        block = block_of(tag)
        place = bisect_left(self.found, block, key=attrgetter("tag"))
        named = self.found[place : place + 1]
        return private_creator(self.raw, named[0]) if named and named[0].tag == block else ""
