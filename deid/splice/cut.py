import struct
from collections.abc import Iterable
from dataclasses import replace

from deid.deflate import DEFLATED_SYNTAXES, is_deflated
from deid.elements import (
    UNDEFINED,
    Buffer,
    Element,
    Encoding,
    WalkError,
    detect_encoding,
    elements,
    encoding_of,
)
from deid.splice.layout import LAYOUT_TAGS, PIXEL_TAGS, PIXELS, frame_bits, read_layout
from deid.splice.values import Hole, PixelLayout, Split, Unspliced, Unsplittable
from deid.splice.words import are_whole, may_be_whole

# More payloads than any real instance has (whole slide images: some 100,000); a bound on what a few forged
# bytes (1 x 1 pixel, a frame for every byte of the value) can make us hold.
MAX_PAYLOADS = 1 << 20

# PS3.5 A.1 to A.3 and A.5; the empty UID is that of files without meta information, where the bytes decide.
_NATIVE = frozenset({"", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})
_DEFLATED = "1.2.840.10008.1.2.1.99"
# PS3.5 A.4: RLE, encapsulated uncompressed, deflated image frame; JPEG, JPEG 2000, MPEG, JPEG XL families.
_ENCAPSULATED = frozenset({"1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"})
_ENCAPSULATED_FAMILY = "1.2.840.10008.1.2.4."
# PS3.5 A.6, A.7: the pixels are at a URL, not in the data set.
_REFERENCED = frozenset({"1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.204"}) | DEFLATED_SYNTAXES - {
    _DEFLATED
}

_NATIVE_VRS = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
_FRAGMENT_VRS = frozenset({"OB", "OW", "UN"})
_ITEM = 0xFFFEE000
_ITEM_HEADER = struct.Struct("<HHI")
_LAST_GROUP = 0x7FE0
_WORD_BYTES = 2  # of OW (PS3.5 6.2)


def split(dataset: Buffer, transfer_syntax: str) -> Split | Unsplittable:
    """Find the payloads of a data set: the frames or fragments of its pixel element. Nothing is copied.

    The bytes of a deflated syntax are to be inflated by the caller (deid.deflate); the Split then says so.
    Bytes decide over the transfer syntax about the encoding of headers; where they contradict it about the
    pixels, or the image does not lie in the value whole, the answer is Unsplittable.
    """
    encoding = detect_encoding(dataset, encoding_of(transfer_syntax or "1.2.840.10008.1.2"))
    try:
        return split_walked(dataset, transfer_syntax, encoding, elements(dataset, encoding))
    except WalkError:
        return Unsplittable(Unspliced.MALFORMED)


def split_walked(
    dataset: Buffer,
    transfer_syntax: str,
    encoding: Encoding,
    top_level: Iterable[Element],
    like: Split | None = None,
) -> Split | Unsplittable:
    """As `split`, for callers that walked the top level of the data set already: walking is most of the work.

    `like` is a split whose data set describes pixels of the same tag and VR in the same bytes: then
    `top_level` need not hold the description.

    Raises:
        WalkError: from the iterable.
    """
    if not _is_known(transfer_syntax):
        return Unsplittable(Unspliced.UNKNOWN_SYNTAX)
    found: dict[int, Element] = {}
    pixel: Element | None = None
    for element in top_level:
        if element.tag in LAYOUT_TAGS:
            found.setdefault(element.tag, element)
        elif element.tag in PIXEL_TAGS:
            if pixel is not None:
                return Unsplittable(Unspliced.TWO_PIXEL_ELEMENTS)
            pixel = element
    if pixel is None:
        return _without_pixels(len(dataset), encoding, transfer_syntax)
    layout = read_layout(dataset, found, pixel, encoding) if like is None else like.layout
    if pixel.length == UNDEFINED:
        return _encapsulated(dataset, transfer_syntax, encoding, pixel, layout)
    return _native(dataset, transfer_syntax, encoding, pixel, layout)


def is_encapsulated(transfer_syntax: str) -> bool:
    """Whether the pixel data of a transfer syntax come in fragments (PS3.5 A.4)."""
    return transfer_syntax in _ENCAPSULATED or (
        transfer_syntax.startswith(_ENCAPSULATED_FAMILY) and transfer_syntax not in _REFERENCED
    )


def _is_known(transfer_syntax: str) -> bool:
    return (
        transfer_syntax in _NATIVE
        or transfer_syntax in _REFERENCED
        or is_deflated(transfer_syntax)
        or is_encapsulated(transfer_syntax)
    )


def _without_pixels(length: int, encoding: Encoding, transfer_syntax: str) -> Split:
    return Split(
        length=length,
        encoding=encoding,
        inflated=is_deflated(transfer_syntax),
        pixel_tag=None,
        pixel_vr=None,
        encapsulated=False,
        offset_table=b"",
        layout=None,
        holes=(),
        head_end=length,
        value_start=length,
        value_end=length,
        tail_start=length,
    )


def _native(
    dataset: Buffer, transfer_syntax: str, encoding: Encoding, pixel: Element, layout: PixelLayout | None
) -> Split | Unsplittable:
    if pixel.vr not in _NATIVE_VRS:
        return Unsplittable(Unspliced.PIXEL_VR)
    if transfer_syntax in _REFERENCED:
        return Unsplittable(Unspliced.CONTRADICTION)
    if layout is not None and layout.swap:
        layout = replace(layout, swap=_swap(dataset, pixel, layout))
    holes: tuple[Hole, ...] | Unspliced = ()
    if pixel.length > 0:
        holes = Unspliced.NO_LAYOUT if layout is None else _frames(pixel, layout)
    if isinstance(holes, Unspliced):
        return Unsplittable(holes)
    image_end = holes[-1].start + holes[-1].length if holes else pixel.value
    if is_encapsulated(transfer_syntax) and pixel.end - image_end > 1:
        # An uncompressed image under a compressed syntax is believed only where it fits the value exactly.
        return Unsplittable(Unspliced.CONTRADICTION)
    return Split(
        length=len(dataset),
        encoding=encoding,
        inflated=is_deflated(transfer_syntax),
        pixel_tag=pixel.tag,
        pixel_vr=pixel.vr,
        encapsulated=False,
        offset_table=b"",
        layout=layout,
        holes=holes,
        head_end=pixel.start,
        value_start=pixel.value,
        value_end=pixel.end,
        tail_start=pixel.end,
    )


def _swap(dataset: Buffer, pixel: Element, layout: PixelLayout) -> int:
    """Return the bytes of a word of big endian pixels; of OW that may be a whole cell, against PS3.5."""
    bits = layout.bits_allocated
    if not may_be_whole(pixel.vr, bits):
        return layout.swap
    whole = are_whole(memoryview(dataset)[pixel.value : pixel.value_end], bits)
    return bits // 8 if whole else _WORD_BYTES


def _frames(pixel: Element, layout: PixelLayout) -> tuple[Hole, ...] | Unspliced:
    """Cut the value into frames; frames that do not end at a byte stay together as one payload."""
    bits = frame_bits(layout, pixel.length)
    frames = layout.frames
    if bits % 8:
        bits, frames = (bits * frames + 7) // 8 * 8, 1
    size = bits // 8
    if frames > MAX_PAYLOADS:
        return Unspliced.TOO_MANY_PAYLOADS
    image = size * frames
    # With words reversed, the last byte of an odd image lies in the word that its pad byte completes.
    if image + (-image % layout.swap if layout.swap else 0) > pixel.length:
        return Unspliced.VALUE_SHORT
    return tuple(Hole(start, size) for start in range(pixel.value, pixel.value + image, size))


def _encapsulated(
    dataset: Buffer, transfer_syntax: str, encoding: Encoding, pixel: Element, layout: PixelLayout | None
) -> Split | Unsplittable:
    if pixel.vr not in _FRAGMENT_VRS or pixel.tag != PIXELS:
        return Unsplittable(Unspliced.PIXEL_VR)
    if not is_encapsulated(transfer_syntax) or encoding is Encoding.EXPLICIT_BE:
        return Unsplittable(Unspliced.CONTRADICTION)
    holes = _fragments(dataset, pixel)
    if isinstance(holes, Unspliced):
        return Unsplittable(holes)
    table = holes[0] if holes else Hole(pixel.value, 0)
    return Split(
        length=len(dataset),
        encoding=encoding,
        inflated=False,
        pixel_tag=pixel.tag,
        pixel_vr=pixel.vr,
        encapsulated=True,
        offset_table=bytes(dataset[table.start : table.start + table.length]),
        layout=layout,
        holes=tuple(holes[1:]),
        head_end=pixel.start,
        value_start=pixel.value,
        value_end=pixel.value_end,
        tail_start=pixel.end,
    )


def _fragments(dataset: Buffer, pixel: Element) -> list[Hole] | Unspliced:
    """List the item values of an encapsulated element, the offset table first (PS3.5 A.4)."""
    found: list[Hole] = []
    position = pixel.value
    while position < pixel.value_end:
        group, number, length = _ITEM_HEADER.unpack_from(dataset, position)
        position += _ITEM_HEADER.size
        # An item of undefined length is a sequence item, never a fragment; its length fails the second test.
        if (group << 16 | number) != _ITEM or length > pixel.value_end - position:
            return Unspliced.FRAGMENTS
        if len(found) > MAX_PAYLOADS:
            return Unspliced.TOO_MANY_PAYLOADS
        found.append(Hole(position, length))
        position += length
    return found
