from collections.abc import Mapping
from typing import NamedTuple

from deid.outcome import Published
from deid.science.keys import name_of
from deid.science.seen import Seen
from deid.splice import PayloadEdit, PixelLayout, Split

# PS3.3 C.7.6.3 and C.7.6.6: what describes the pixels, and where its counterpart stands in a layout.
_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_ALLOCATED, _STORED, _HIGH_BIT, _REPRESENTATION = 0x00280100, 0x00280101, 0x00280102, 0x00280103
DESCRIPTION = (
    *(_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES, _ROWS, _COLUMNS),
    *(_ALLOCATED, _STORED, _HIGH_BIT, _REPRESENTATION),
)
# PS3.3 C.7.6.3.1.2: bytes of a subsampled image in sixths of the full one; either may lie there.
_SIXTHS = {"YBR_FULL_422": {4, 6}, "YBR_PARTIAL_422": {4, 6}, "YBR_PARTIAL_420": {3, 6}}
_FULL = frozenset({6})
_COLOURS = 3


class Description(NamedTuple):
    """The published description of the pixels as numbers; None where a header does not say."""

    numbers: Mapping[int, int]
    photometric: str | None


def described(seen: Mapping[int, Seen]) -> Description:
    """Read the description of the pixels from a published header."""
    numbers: dict[int, int] = {}
    for tag in DESCRIPTION:
        number = _number(seen.get(tag))
        if number is not None:
            numbers[tag] = number
    text = seen.get(_PHOTOMETRIC)
    return Description(numbers, None if text is None else text.value.strip(b" \0").decode("latin_1"))


def disagreement(said: Description, form: Published) -> str | None:
    """Return in what header and payload of a published instance contradict each other, None where in nothing.

    Numbers that contradict themselves (more bits stored than allocated) say nothing about a payload.
    """
    layout = form.split.layout
    if layout is None or form.split.pixel_tag is None:
        return None
    if said.photometric is not None and said.photometric != layout.photometric:
        return f"{name_of(_PHOTOMETRIC)} is not that of the pixels"
    for tag, lies in _lying(layout).items():
        if said.numbers.get(tag, lies) != lies and not _contradicts_itself(tag, said.numbers):
            return f"{name_of(tag)} is not that of the pixels"
    if not form.split.encapsulated and not _fits(form.split, layout):
        return "the pixels are more or fewer than the header says"
    return _touched(form, layout)


def _touched(form: Published, layout: PixelLayout) -> str | None:
    """Return what edits do to the pixels themselves; a reviewer's or a rule's blanking is meant."""
    edits = form.payload_edits.values()
    if not all(_clears_outside(edit, layout) for edit in edits):
        return "bits of the pixels themselves are cleared"
    if not form.split.encapsulated and any(edit.dropped for edit in edits):
        return "pixels are cut out"
    if any(edit.blank is not None and edit.blank.layout != layout for edit in edits):
        return "pixels are blanked as if they lay in another way"
    return None


def _lying(layout: PixelLayout) -> Mapping[int, int]:
    """Return what the payloads were cut by, by tag."""
    return {
        _SAMPLES: layout.samples,
        _PLANAR: layout.planar,
        _FRAMES: layout.frames,
        _ROWS: layout.rows,
        _COLUMNS: layout.columns,
        _ALLOCATED: layout.bits_allocated,
        _STORED: layout.bits_stored,
        _HIGH_BIT: layout.high_bit,
        _REPRESENTATION: int(layout.signed),
    }


def _contradicts_itself(tag: int, numbers: Mapping[int, int]) -> bool:
    stored, allocated = numbers.get(_STORED, 0), numbers.get(_ALLOCATED, 0)
    nonsense = {
        _FRAMES: numbers.get(_FRAMES, 1) < 1,
        _PLANAR: numbers.get(_PLANAR, 0) > 1,
        _REPRESENTATION: numbers.get(_REPRESENTATION, 0) > 1,
        _STORED: not 0 < stored <= allocated,
        _HIGH_BIT: not stored - 1 <= numbers.get(_HIGH_BIT, -1) < allocated,
    }
    return nonsense.get(tag, False)


def _fits(split: Split, layout: PixelLayout) -> bool:
    if not split.holes:
        return True
    bits = layout.rows * layout.columns * layout.samples * layout.bits_allocated * layout.frames
    allowed = _SIXTHS.get(layout.photometric, _FULL) if layout.samples == _COLOURS else _FULL
    lies = sum(hole.length for hole in split.holes)
    return any((bits * sixths // 6 + 7) // 8 == lies for sixths in allowed)


def _clears_outside(edit: PayloadEdit, layout: PixelLayout) -> bool:
    low = layout.high_bit + 1 - layout.bits_stored
    stored = ((1 << layout.bits_stored) - 1) << low
    return not int.from_bytes(edit.cleared, "little") & stored


def _number(seen: Seen | None) -> int | None:
    if seen is None:
        return None
    if seen.vr == "IS":
        text = seen.value.strip(b" \0")
        return int(text) if text.isdigit() else None
    return int.from_bytes(seen.value, "little") if seen.vr in {"US", "UL"} and seen.value else None
