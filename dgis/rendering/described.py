"""What an image says of its own showing, functional groups of its frame looked at first (PS3.3 C.7.6.16)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from dgis.rendering.attributes import Attributes
from dgis.rendering.errors import NoPictureError
from dgis.rendering.lookup import Table, descriptor, palette_plane
from dgis.rendering.view import Function, Window
from dgis.transcode.level import (
    ALLOCATED,
    COLUMNS,
    HIGH_BIT,
    PHOTOMETRIC,
    PLANAR,
    REPRESENTATION,
    ROWS,
    SAMPLES,
    STORED,
)

_PER_FRAME, _SHARED = 0x52009230, 0x52009229
_PIXEL_VALUE_TRANSFORMATION, _FRAME_VOI_LUT, _PIXEL_MEASURES = 0x00289145, 0x00289132, 0x00289110
_MODALITY_LUT, _VOI_LUT = 0x00283000, 0x00283010
_LUT_DESCRIPTOR, _LUT_DATA = 0x00283002, 0x00283006
_CENTER, _WIDTH, _FUNCTION = 0x00281050, 0x00281051, 0x00281056
_INTERCEPT, _SLOPE = 0x00281052, 0x00281053
_PADDING, _PADDING_LIMIT = 0x00280120, 0x00280121
_ASPECT, _SPACING, _IMAGER_SPACING, _SCANNED_SPACING = 0x00280034, 0x00280030, 0x00181164, 0x00182010
_PALETTES = (
    (0x00281101, 0x00281201, 0x00281221),
    (0x00281102, 0x00281202, 0x00281222),
    (0x00281103, 0x00281203, 0x00281223),
)
_NEARLY_SQUARE, _MOST_ASPECT = 0.01, 10.0

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Layout:
    """How pixels lie (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool
    photometric: str


@dataclass(frozen=True, slots=True)
class Grey:
    """How grey levels are shown: each stage None where the image does not have it."""

    slope: float
    intercept: float
    modality: Table | None
    window: Window | None
    voi: Table | None
    padding: tuple[int, int] | None  # the lowest and highest of the values that are no image


def layout_of(header: Attributes) -> Layout:
    """Return how the pixels lie.

    Raises:
        NoPictureError: the header does not describe an image.
    """
    rows, columns = header.short(ROWS), header.short(COLUMNS)
    allocated = header.short(ALLOCATED)
    if not (rows and columns and 0 < allocated <= 64):  # noqa: PLR2004 - PS3.5 8.1.1: no cell is wider
        raise NoPictureError("the header does not describe an image")
    stored = min(header.short(STORED, allocated) or allocated, allocated)
    high_bit = header.short(HIGH_BIT, stored - 1)
    return Layout(
        rows=rows,
        columns=columns,
        samples=header.short(SAMPLES, 1) or 1,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit if stored - 1 <= high_bit < allocated else stored - 1,
        signed=header.short(REPRESENTATION) == 1,
        planar=header.short(PLANAR) == 1,
        photometric=header.text(PHOTOMETRIC),
    )


def grey_of(header: Attributes, frame: int, layout: Layout) -> Grey:
    """Return how the grey levels of a frame, counted from 1, are shown."""
    slope, intercept = _first(header, frame, _PIXEL_VALUE_TRANSFORMATION, _rescale) or (1.0, 0.0)
    return Grey(
        slope=slope,
        intercept=intercept,
        modality=_table(header.item(_MODALITY_LUT), signed_input=layout.signed),
        window=_first(header, frame, _FRAME_VOI_LUT, _window),
        # Its input is what the modality LUT gives, which may be below zero where that is a line.
        voi=_table(header.item(_VOI_LUT), signed_input=layout.signed or intercept < 0),
        padding=_padding(header, layout),
    )


def palette_of(header: Attributes, layout: Layout) -> list[Table]:
    """Return the tables of red, green and blue (PS3.3 C.7.9).

    Raises:
        NoPictureError: one is absent, cut or damaged.
    """
    return [
        palette_plane(
            descriptor(header.raw(said), signed_input=layout.signed), header.raw(data), header.raw(segments)
        )
        for said, data, segments in _PALETTES
    ]


def aspect_of(header: Attributes, frame: int) -> float:
    """Return how much higher than wide a pixel is to be shown; 1 where it is square or nothing is said."""
    said = header.decimals(_ASPECT)
    if len(said) < 2 or min(said) <= 0:  # noqa: PLR2004 - vertical and horizontal (PS3.3 C.7.6.3.1.7)
        said = _first(header, frame, _PIXEL_MEASURES, _spacing) or [1.0, 1.0]
    ratio = said[0] / said[1]
    if abs(ratio - 1.0) < _NEARLY_SQUARE or not 1 / _MOST_ASPECT <= ratio <= _MOST_ASPECT:
        return 1.0
    return ratio


def _first(
    header: Attributes, frame: int, group: int, read: Callable[[Attributes], _Found | None]
) -> _Found | None:
    """Return what the functional group of the frame says, else the shared one, else the data set itself."""
    for place in _places(header, frame, group):
        found = read(place)
        if found is not None:
            return found
    return None


def _places(header: Attributes, frame: int, group: int) -> Iterator[Attributes]:
    for groups in (header.item(_PER_FRAME, frame - 1), header.item(_SHARED)):
        found = None if groups is None else groups.item(group)
        if found is not None:
            yield found
    yield header


def _rescale(place: Attributes) -> tuple[float, float] | None:
    slope, intercept = place.decimals(_SLOPE), place.decimals(_INTERCEPT)
    if not slope and not intercept:
        return None
    return (slope[0] if slope and slope[0] else 1.0), (intercept[0] if intercept else 0.0)


def _window(place: Attributes) -> Window | None:
    """Return the first of the windows that can be applied; several are alternatives (PS3.3 C.11.2.1.2)."""
    name = place.text(_FUNCTION)
    function = Function(name) if name in {each.value for each in Function} else Function.LINEAR
    pairs = zip(place.decimals(_CENTER), place.decimals(_WIDTH), strict=False)
    windows = (Window(center, width, function) for center, width in pairs)
    return next((each for each in windows if each.valid), None)


def _spacing(place: Attributes) -> list[float] | None:
    for tag in (_SPACING, _IMAGER_SPACING, _SCANNED_SPACING):
        said = place.decimals(tag)
        if len(said) == 2 and min(said) > 0:  # noqa: PLR2004 - between rows, between columns (PS3.3 10.7.1.3)
            return said
    return None


def _table(item: Attributes | None, *, signed_input: bool) -> Table | None:
    if item is None:
        return None
    said = descriptor(item.raw(_LUT_DESCRIPTOR), signed_input=signed_input)
    return Table.of(said, item.raw(_LUT_DATA)) if said else None


def _padding(header: Attributes, layout: Layout) -> tuple[int, int] | None:
    value = header.shorts(_PADDING, signed=layout.signed)
    if not value.size:
        return None
    limit = header.shorts(_PADDING_LIMIT, signed=layout.signed)
    ends = sorted((int(value[0]), int(limit[0]) if limit.size else int(value[0])))
    return ends[0], ends[1]
