from collections.abc import Container, Mapping
from itertools import pairwise
from typing import NamedTuple

from deid.elements import Buffer, Element, Encoding, elements
from deid.header import Header
from deid.header_runs import NOTHING, KnownHeader, Run
from deid.memo import Done
from deid.splice import Split
from deid.splice.layout import LAYOUT_TAGS
from deid.vr import is_private, is_private_creator
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
    """A header as far as it was taken over: its published bytes, what was done, and where it ends.

    `like` is the split of the header before, which describes its pixels in the same bytes.
    """

    data: bytes
    done: tuple[Done, ...]
    end: int
    like: Split


class Replay:
    """Headers of a series are nearly alike: what equals the header before is taken over, not walked again.

    Equal bytes at the border of an element parse alike, and for one subject have one outcome: taking over
    that of a run of elements gives what walking them would give. An element once seen to differ is walked
    every time.
    """

    def __init__(self, walker: Walker, encoding: Encoding) -> None:
        """Know nothing yet."""
        self._walker = walker
        self._encoding = encoding
        self._known: KnownHeader | None = None
        self._runs: list[Run] | None = []  # None: not made yet; a series of one image needs none
        self._tail: tuple[Done, ...] = ()
        self._varying = set(_INSTANCE_LEVEL)
        self._of_subject: tuple[bytes | None, ...] = ()

    def attempt(self, header: Header) -> Replayed | None:
        """Take over what is known of a header; None where it is unlike the one before, or another subject's.

        Notes the header's values on the way.

        Raises:
            WalkError: an element that varies is damaged.
        """
        known, buffer = self._known, header.buffer
        if known is None:
            return None
        runs = self._runs
        if runs is None:
            if not known.is_of_same(buffer):
                return None
            runs = self._runs = list(known.runs(self._varying))
        self._walker.begin()
        data: list[bytes] = []
        done: list[Done] = []
        place = position = 0
        while place < len(runs):
            run = runs[place]
            end = position + len(run.raw)
            if run.varies:
                element = next(elements(buffer, self._encoding, position), None)
                finished = None if element is None else self._finished(known.added, run, buffer, element)
                if element is None or finished is None:
                    return None
                header.note(element)
                data += (run.data, finished.data)
                done += (*run.done, finished)
                position = element.end
            elif bytes(buffer[position:end]) == run.raw:
                header.values.update(run.values)
                data.append(run.data)
                done += run.done
                position = end
            elif known.is_of_same(buffer) and self._divide(known, runs, place, position, buffer):
                continue
            else:
                return None
            place += 1
        if header.of_subject() != self._of_subject:
            return None
        data += (one.data for one in self._tail)
        return Replayed(b"".join(data), (*done, *self._tail), position, known.split)

    def learn(self, header: Header, split: Split, done: Mapping[int, Done], added: Container[int]) -> None:
        """Remember a header that was walked: what became of its elements by tag, and the tags put in."""
        self._known, self._runs = None, []
        found = [one for one in header.elements if one.start < split.head_end]
        if not found or found[-1].end > _LARGEST_BYTES or len(self._varying) > _MOST_VARYING:
            return
        if found[-1].tag > _PIXEL_GROUP_LENGTH:
            return  # offset tables of other pixels
        if any(one.tag >= other.tag for one, other in pairwise(found)):
            return
        raw = bytes(header.buffer[: found[-1].end])
        known = KnownHeader(header.values, raw, found, split, done, sorted(done), added)
        self._known = known
        self._runs = None
        self._tail = tuple(done[tag] for tag in known.published if tag > found[-1].tag)
        self._of_subject = header.of_subject()

    def _finished(self, added: Container[int], run: Run, buffer: Buffer, element: Element) -> Done | None:
        """De-identify an element that varies; None where it is another one, or others hang on its outcome."""
        tag = element.tag
        if tag != run.last_tag:
            return None
        if not is_private(tag):
            # What is put in by us is walked, too: damage in it withholds the instance, here as anywhere.
            finished = self._walker.top_level(buffer, element, self._encoding)
            return NOTHING if tag in added else finished
        finished = self._walker.private(buffer, element, self._encoding, run.creator)
        # What is kept of a block decides whether its creator is published.
        return finished if bool(finished.data) == run.kept else None

    def _divide(self, known: KnownHeader, runs: list[Run], place: int, position: int, buffer: Buffer) -> bool:
        """Divide a run at the first element that differs; False where that would not help."""
        run = runs[place]
        index = known.difference(run, buffer, position)
        if index is None or not _may_vary(known.found[index].tag):
            return False
        self._varying.add(known.found[index].tag)
        runs[place : place + 1] = known.divided(run, index)
        return len(self._varying) <= _MOST_VARYING


def _may_vary(tag: int) -> bool:
    """Whether nothing else hangs on an element: no coded entry, no private block, no pixels."""
    return tag not in CODED_TAGS and tag not in LAYOUT_TAGS and not is_private_creator(tag)
