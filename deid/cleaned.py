from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from deid import encode
from deid.elements import Buffer, Encoding
from deid.header import Header
from deid.memo import Done
from deid.outcome import WithheldReason
from deid.payloads import payload_edits
from deid.pixel_decision import PixelDecision
from deid.rectangles import Rectangle, outside
from deid.regions import ultrasound_regions
from deid.splice import Blank, BlankError, PayloadEdit, PixelLayout, Split, split_walked
from deid.splice.blank import fill_cells, require_blankable
from deid.splice.layout import PIXELS

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
# PS3.5 A.4.1: JPEG processes that always lose something.
_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 53, 55))
_LOSSY_COMPRESSION = 0x00282110
# Said of pixels that are no longer these: smallest and largest value of the image.
_EXTREMES = (0x00280106, 0x00280107)


class NotDecoded(Exception):  # noqa: N818 (a refusal, in the words of this project)
    """Compressed pixels cannot be had as native ones; the text names no content."""


# A data set and its transfer syntax to the same data set with native pixels, explicit VR little endian.
Decode = Callable[[Buffer, str], Buffer]


def no_decoder(_dataset: Buffer, _transfer_syntax: str) -> Buffer:
    """Stand for the decoder where there is none.

    Raises:
        NotDecoded: always.
    """
    raise NotDecoded("no decoder here")


@dataclass(frozen=True, slots=True)
class Prepared:
    """An instance under a decision on its pixels, its bytes read: what is left is the walk of its header.

    `inflated` is what `split` speaks of where that is not the original: inflated, or decoded.
    """

    header: Header
    transfer_syntax: str
    split: Split
    edits: Mapping[int, PayloadEdit]
    inflated: Buffer | None
    added: Mapping[int, Done] = field(default_factory=dict)


def prepare(
    given: Header, transfer_syntax: str, inflated: Buffer | None, decision: PixelDecision, decode: Decode
) -> Prepared | WithheldReason:
    """Take an instance apart under a decision: compressed pixels that are to be blanked are decoded first.

    Raises:
        deid.elements.WalkError: the data set is malformed after all.
    """
    read = _taken_apart(given.buffer, given.encoding, transfer_syntax)
    if isinstance(read, WithheldReason):
        return read
    added: Mapping[int, Done] = {}
    if decision.blanks:
        added = _no_longer_true(transfer_syntax)
        if read.split.encapsulated:
            try:
                inflated = decode(given.buffer, transfer_syntax)
            except NotDecoded:
                return WithheldReason.NOT_DECODED
            transfer_syntax = EXPLICIT_VR_LITTLE_ENDIAN
            read = _taken_apart(inflated, Encoding.EXPLICIT_LE, transfer_syntax)
            if isinstance(read, WithheldReason) or read.split.encapsulated:
                return WithheldReason.NOT_DECODED
            read = _Read(read.header, replace(read.split, inflated=True))
    edits = payload_edits(read.header.buffer, read.split, transfer_syntax)
    if edits is None:
        return WithheldReason.CODESTREAM
    blanked = _blanked(read, edits, decision) if decision.blanks else edits
    if isinstance(blanked, WithheldReason):
        return blanked
    return Prepared(read.header, transfer_syntax, read.split, blanked, inflated, added)


class _Read(NamedTuple):
    """A data set taken apart; where `split.inflated`, it is not what arrived but was made from it."""

    header: Header
    split: Split


def _taken_apart(buffer: Buffer, encoding: Encoding, transfer_syntax: str) -> _Read | WithheldReason:
    header = Header(buffer, encoding)
    header.read()
    split = split_walked(buffer, transfer_syntax, encoding, header.elements)
    if not isinstance(split, Split):
        return WithheldReason.NOT_SPLICED
    if split.pixel_tag is None or not split.holes:
        return WithheldReason.NO_PIXELS
    return _Read(header, split)


def _no_longer_true(transfer_syntax: str) -> Mapping[int, Done]:
    """Return what is said anew of pixels that are others now; a lossy syntax must not be forgotten."""
    lossy = Done(encode.element(_LOSSY_COMPRESSION, "CS", b"01"))
    gone = dict.fromkeys(_EXTREMES, Done(b""))
    return {**gone, _LOSSY_COMPRESSION: lossy} if transfer_syntax in _LOSSY else gone


def _blanked(
    read: _Read, edits: Mapping[int, PayloadEdit], decision: PixelDecision
) -> Mapping[int, PayloadEdit] | WithheldReason:
    header, split = read
    layout = split.layout
    if layout is None:
        return WithheldReason.NOT_BLANKED
    rectangles = _rectangles(header, layout, decision)
    if isinstance(rectangles, WithheldReason):
        return rectangles
    chosen = _frames(decision, layout.frames)
    try:
        require_blankable(layout, min(hole.length for hole in split.holes))
        fill = fill_cells(layout, header.padding, floating=split.pixel_tag != PIXELS)
    except BlankError:
        return WithheldReason.NOT_BLANKED
    if not chosen:
        return WithheldReason.NOT_BLANKED
    together = len(split.holes) == 1 and layout.frames > 1
    if together:
        blanks = {0: Blank(layout, rectangles, fill, chosen)}
    else:
        blanks = dict.fromkeys(chosen, Blank(layout, rectangles, fill))
    cleared = {
        index: replace(edits.get(index, PayloadEdit(index)), blank=each) for index, each in blanks.items()
    }
    return {**edits, **cleared}


def _rectangles(
    header: Header, layout: PixelLayout, decision: PixelDecision
) -> tuple[Rectangle, ...] | WithheldReason:
    """Return what is blanked, clipped to the image; where nothing would be, no cleaning may be claimed."""
    found = [each.clipped(layout.rows, layout.columns) for each in decision.rectangles]
    clipped = [each for each in found if each is not None]
    if len(clipped) != len(found):
        return WithheldReason.NOT_BLANKED
    if decision.regions_only:
        regions = ultrasound_regions(header.buffer, header.elements, header.encoding)
        beside = outside(regions, layout.rows, layout.columns)
        if not regions or not beside:
            return WithheldReason.NO_REGIONS
        clipped += beside
    return tuple(clipped)


def _frames(decision: PixelDecision, frames: int) -> tuple[int, ...]:
    """Return the frames that are meant, from 0."""
    ranges = decision.frames or ((1, frames),)
    return tuple(
        sorted({frame - 1 for first, last in ranges for frame in range(first, min(last, frames) + 1)})
    )
