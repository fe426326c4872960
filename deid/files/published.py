import struct
from collections.abc import Callable, Sequence

from deid.elements import (
    UNDEFINED,
    Buffer,
    Encoding,
    WalkError,
    detect_encoding,
    elements,
    encoding_of,
    items,
)
from deid.files.part10 import file_head, read_part10
from deid.outcome import Published
from deid.splice import published_payload
from deid.splice.layout import PIXEL_TAGS

_HEADER = struct.Struct("<HH2sHI")
_ITEM = struct.Struct("<HHI")
_UNDEFINED_LENGTH = 0xFFFFFFFF
_DELIMITER = _ITEM.pack(0xFFFE, 0xE0DD, 0)


def published_pieces(dataset: Buffer, form: Published) -> list[Buffer]:
    """Return the de-identified file of an instance as buffers, pixels as views where nothing is taken out.

    `dataset` is what the form was made of; it must stay as it is while the pieces are in use.
    """
    head = file_head(form.sop_class_uid, form.sop_instance_uid, form.transfer_syntax)
    return [head, form.before, *_pixel_element(dataset, form), form.after]


def _pixel_element(dataset: Buffer, form: Published) -> list[Buffer]:
    split = form.split
    if split.pixel_tag is None or split.pixel_vr is None:
        return []
    source = dataset if form.inflated is None else form.inflated
    payloads = [
        published_payload(source, split, index, form.payload_edits) for index in range(len(split.holes))
    ]
    tag, vr = split.pixel_tag, split.pixel_vr.encode("ascii")
    if not split.encapsulated:
        size = sum(map(len, payloads))
        header = _HEADER.pack(tag >> 16, tag & 0xFFFF, vr, 0, size + size % 2)
        return [header, *payloads, bytes(size % 2)]
    # Offsets hold only where no fragment changed its length; without a table readers go by the items.
    moved = form.payload_edits or any(len(payload) % 2 for payload in payloads)
    header = _HEADER.pack(tag >> 16, tag & 0xFFFF, vr, 0, _UNDEFINED_LENGTH)
    pieces: list[Buffer] = [header]
    for value in (b"" if moved else split.offset_table, *payloads):
        padding = bytes(len(value) % 2)
        pieces += (_ITEM.pack(0xFFFE, 0xE000, len(value) + len(padding)), value, padding)
    return [*pieces, _DELIMITER]


def payload_bytes(form: Published) -> int:
    """Return the length of each native payload of a published form, 0 where there are fragments or none."""
    split = form.split
    return split.holes[0].length if split.holes and not split.encapsulated else 0


def payloads_of(file: Buffer, native_bytes: int) -> Callable[[int], Buffer]:
    """Return what gives the payloads of a de-identified file: frames of `native_bytes`, or fragments.

    Other programs may have rewritten the header: only the pixel element counts.

    Raises:
        LookupError: there is no pixel element that can be read, or, from what is returned, no such payload.
    """
    found = read_part10(file)
    if found is None:
        raise LookupError("no DICOM file")
    dataset = memoryview(file)[found.start :]
    encoding = detect_encoding(dataset, encoding_of(found.transfer_syntax))
    try:
        pixel = next(one for one in elements(dataset, encoding) if one.tag in PIXEL_TAGS)
        if pixel.length == UNDEFINED:
            # The first item is the offset table (PS3.5 A.4).
            fragments = [dataset[one.start : one.stop] for one in items(dataset, pixel, encoding)][1:]
            return _listed(fragments)
    except (StopIteration, WalkError):
        raise LookupError("no pixel element") from None
    if encoding is Encoding.EXPLICIT_BE:
        raise LookupError("pixels in big endian order")
    value = dataset[pixel.value : pixel.end]
    return lambda index: value[index * native_bytes : (index + 1) * native_bytes]


def _listed(fragments: Sequence[Buffer]) -> Callable[[int], Buffer]:
    return fragments.__getitem__
