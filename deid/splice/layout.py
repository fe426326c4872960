from collections.abc import Mapping

from deid.elements import Buffer, Element, Encoding
from deid.splice.values import PixelLayout

FLOAT_PIXELS = 0x7FE00008
DOUBLE_PIXELS = 0x7FE00009
PIXELS = 0x7FE00010
PIXEL_TAGS = frozenset({FLOAT_PIXELS, DOUBLE_PIXELS, PIXELS})

# PS3.3 C.7.6.3 (Image Pixel), C.7.6.6 (Number of Frames).
_SAMPLES = 0x00280002
_PHOTOMETRIC = 0x00280004
_PLANAR = 0x00280006
_FRAMES = 0x00280008
_ROWS = 0x00280010
_COLUMNS = 0x00280011
_ALLOCATED = 0x00280100
_STORED = 0x00280101
_HIGH_BIT = 0x00280102
_REPRESENTATION = 0x00280103
LAYOUT_TAGS = frozenset(
    {_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES, _ROWS, _COLUMNS}
    | {_ALLOCATED, _STORED, _HIGH_BIT, _REPRESENTATION}
)

_WHOLE_NUMBERS = {"US": 2, "UL": 4, "UN": 2}
_LONGEST_TEXT_BYTES = 64
_LONGEST_NUMBER_DIGITS = 12  # PS3.5 6.2: an IS has at most 12 characters

# PS3.5 7.3: what a word is in big endian. OW is words of 16 bits whatever the pixel cell is.
_WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_WHOLE_CELLS = frozenset({16, 32, 64})


def read_layout(
    dataset: Buffer, found: Mapping[int, Element], pixel: Element, encoding: Encoding
) -> PixelLayout | None:
    """Read the image description from header elements; None where the size of a frame cannot be told.

    Numbers that only refine the picture (bits stored, high bit) are replaced by the plainest possible ones
    where they contradict the bits allocated. A NumberOfFrames that is empty or 0 is one frame.
    """

    def number(tag: int, default: int | None = None) -> int | None:
        element = found.get(tag)
        return default if element is None else _number(dataset, element, encoding, default)

    rows, columns = number(_ROWS), number(_COLUMNS)
    allocated = number(_ALLOCATED, {FLOAT_PIXELS: 32, DOUBLE_PIXELS: 64}.get(pixel.tag))
    samples, frames = number(_SAMPLES, 1), number(_FRAMES, 1)
    if not (rows and columns and allocated and samples) or frames is None:
        return None
    stored = min(number(_STORED, allocated) or allocated, allocated)
    high_bit = number(_HIGH_BIT, stored - 1)
    if high_bit is None or not stored - 1 <= high_bit < allocated:
        high_bit = stored - 1
    return PixelLayout(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit,
        signed=number(_REPRESENTATION, 0) == 1,
        planar=1 if number(_PLANAR, 0) == 1 else 0,
        photometric=_text(dataset, found.get(_PHOTOMETRIC)),
        frames=max(frames, 1),
        swap=_swap(pixel.vr, allocated, encoding),
    )


def frame_bits(layout: PixelLayout, value_bytes: int) -> int:
    """Return the bits of one frame; a subsampled photometric counts only where the value is that short.

    PS3.3 C.7.6.3.1.2: 4:2:2 keeps one Cb and one Cr for two pixels of a row, 4:2:0 for four. Images whose
    photometric still speaks of a subsampling that was undone are common; the length of the value decides.
    """
    pixels = layout.rows * layout.columns
    full = pixels * layout.samples * layout.bits_allocated
    if layout.samples != 3:  # noqa: PLR2004 - subsampling is defined for three samples a pixel only
        return full
    fits_full = (full * layout.frames + 7) // 8 <= value_bytes
    if layout.photometric in {"YBR_FULL_422", "YBR_PARTIAL_422"}:
        subsampled = pixels * 2 * layout.bits_allocated
    elif layout.photometric == "YBR_PARTIAL_420":
        subsampled = pixels * 3 * layout.bits_allocated // 2
    else:
        return full
    return full if fits_full else subsampled


def _swap(vr: str, allocated: int, encoding: Encoding) -> int:
    if encoding is not Encoding.EXPLICIT_BE:
        return 0
    if vr in _WORD_BYTES:
        return _WORD_BYTES[vr]
    # OB has no words, yet cells above 8 bits are written in it against PS3.5 A.3: then a cell is a word.
    return allocated // 8 if allocated in _WHOLE_CELLS else 0


def _number(dataset: Buffer, element: Element, encoding: Encoding, default: int | None) -> int | None:
    """Return a whole number of one value; `default` where the value is empty, None where it is none."""
    if element.length == 0:
        return default
    if element.vr in {"IS", "DS"}:
        text = _text(dataset, element).strip("\0 ")
        if not text:
            return default
        return (
            int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER_DIGITS else None
        )
    size = _WHOLE_NUMBERS.get(element.vr)
    if size != element.length:
        return None
    raw = bytes(dataset[element.value : element.end])
    return int.from_bytes(raw, "big" if encoding is Encoding.EXPLICIT_BE else "little")


def _text(dataset: Buffer, element: Element | None) -> str:
    if element is None or not 0 < element.length <= _LONGEST_TEXT_BYTES:
        return ""
    raw = bytes(dataset[element.value : element.end])
    return raw.decode("ascii", "replace").strip("\0 ")
