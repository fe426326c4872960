"""Small data sets to convert."""

import struct

from deid.encode import element, sequence
from tests.tools.transcoding import Lying

RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
HTJ2K = "1.2.840.10008.1.2.4.201"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"

_ITEM = struct.Struct("<HHI")


def us(tag, value):
    return element(tag, "US", struct.pack("<H", value))


def description(
    shape, *, bits=8, stored=None, signed=False, frames=None, photometric="MONOCHROME2", planar=None
):
    """The elements of group 0028 for an image of shape (rows, columns[, samples])."""
    rows, columns, samples = (*shape, 1)[:3]
    stored = stored or bits
    return b"".join(
        (
            us(0x00280002, samples),
            element(0x00280004, "CS", photometric.encode()),
            b"" if planar is None else us(0x00280006, planar),
            b"" if frames is None else element(0x00280008, "IS", str(frames).encode()),
            us(0x00280010, rows),
            us(0x00280011, columns),
            us(0x00280100, bits),
            us(0x00280101, stored),
            us(0x00280102, stored - 1),
            us(0x00280103, int(signed)),
        )
    )


def encapsulated(*fragments, table=b""):
    """An encapsulated pixel element; fragments of odd length are padded."""
    even = [fragment + b"\0" * (len(fragment) % 2) for fragment in (table, *fragments)]
    items = b"".join(_ITEM.pack(0xFFFE, 0xE000, len(each)) + each for each in even)
    head = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    return head + items + _ITEM.pack(0xFFFE, 0xE0DD, 0)


def image(transfer_syntax, fragments, shape, *, before=b"", after=b"", tables=b"", **described):
    """An instance with an encapsulated image."""
    head = element(0x00080018, "UI", b"2.25.7") + before + description(shape, **described)
    return Lying(transfer_syntax, head + tables + encapsulated(*fragments) + after)


def nested(tag, *items):
    return sequence(tag, items)
