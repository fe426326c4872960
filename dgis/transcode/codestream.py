"""What a codestream says of itself, read before a decoder is given it: no size is believed twice."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dgis.transcode.errors import DamagedPixelsError
from dgis.transcode.job import Job
from dgis.transcode.syntaxes import Codec

_MARKER = 0xFF
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_APP0, _APP14 = 0xE0, 0xEE
_JFIF, _ADOBE = b"JFIF\0", b"Adobe"
_ADOBE_TRANSFORM = 11
# ITU-T T.81 Table B.1: start of frame; C4, C8 and CC are something else. T.87: F7.
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a segment

_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_SIZ = struct.Struct(">HHIIIIIIIIH")  # T.800 A.5.1, the marker left out
_SOT, _EOC = b"\xff\x90", b"\xff\xd9"  # T.800 A.4: start of tile-part, end of codestream
_TILE_PART_LENGTH = 6  # where it stands behind SOT; 0: until the end
_MOST_COMPONENTS = 5  # looked at: an image has one, three or four
_SOC_SIZ = b"\xff\x4f\xff\x51"


@dataclass(frozen=True, slots=True)
class Image:
    """The image a codestream announces."""

    rows: int
    columns: int
    samples: int
    precision: int  # bits of a sample
    signed: bool = False
    components: bytes = b""  # JPEG: their identifiers
    adobe_transform: int | None = None  # JPEG: of the APP14 segment, None without one
    jfif: bool = False  # JPEG: a JFIF file, whose three components are YCbCr (T.871 clause 6)


def inspect(codec: Codec, stream: bytes) -> Image:
    """Return what a JPEG, JPEG-LS or JPEG 2000 codestream announces.

    Raises:
        DamagedPixelsError: it is none, or is cut before its end.
    """
    try:
        return _jpeg_2000(stream) if codec in {Codec.JPEG_2000, Codec.HTJ2K} else _jpeg(stream)
    except (struct.error, IndexError) as error:
        raise DamagedPixelsError("the header of a codestream is cut") from error


def require(image: Image, job: Job) -> None:
    """Compare what is announced with what the data set says, before memory is set aside.

    Raises:
        DamagedPixelsError: they contradict each other.
    """
    said = (image.rows, image.columns, image.samples)
    if said != (job.rows, job.columns, job.samples):
        raise DamagedPixelsError(
            f"codestream of {image.rows}x{image.columns}x{image.samples}, "
            f"header of {job.rows}x{job.columns}x{job.samples}"
        )
    if not 0 < image.precision <= job.bits_allocated:
        raise DamagedPixelsError(f"samples of {image.precision} bits in cells of {job.bits_allocated}")


def bare_codestream(stream: bytes) -> bytes:
    """Return the JPEG 2000 codestream, out of the JP2 boxes around it where a sender left them (T.800 I).

    Raises:
        DamagedPixelsError: the boxes hold none.
    """
    if not stream.startswith(_JP2_SIGNATURE):
        return stream
    position = 0
    while position + 8 <= len(stream):
        length, kind = struct.unpack_from(">I4s", stream, position)
        start = position + (16 if length == 1 else 8)
        if length == 1 and start <= len(stream):
            (length,) = struct.unpack_from(">Q", stream, position + 8)
        if kind == b"jp2c":
            return stream[start : position + length] if length else stream[start:]
        if length < 8:  # noqa: PLR2004 - a box is no smaller than its header
            break
        position += length
    raise DamagedPixelsError("JP2 boxes without a codestream")


def require_whole(stream: bytes) -> None:
    """Follow the tile-parts of a JPEG 2000 codestream to its end (T.800 A.4.2).

    Raises:
        DamagedPixelsError: it is cut; OpenJPH would make up the rest without a word.
    """
    try:
        position = 2
        while stream[position : position + 2] != _SOT:
            position += 2 + max(struct.unpack_from(">H", stream, position + 2)[0], 2)
        while stream[position : position + 2] == _SOT:
            (length,) = struct.unpack_from(">I", stream, position + _TILE_PART_LENGTH)
            position = position + length if length else stream.rindex(_EOC)
    except (struct.error, ValueError) as error:
        raise DamagedPixelsError("a JPEG 2000 codestream that is cut") from error
    if stream[position : position + 2] != _EOC:
        raise DamagedPixelsError("a JPEG 2000 codestream that is cut")


def _jpeg_2000(stream: bytes) -> Image:
    if not stream.startswith(_SOC_SIZ):
        raise DamagedPixelsError("no JPEG 2000 codestream")
    _, _, x, y, x_start, y_start, *_tiles, count = _SIZ.unpack_from(stream, len(_SOC_SIZ))
    at = len(_SOC_SIZ) + _SIZ.size
    each = {
        tuple(stream[at + 3 * place : at + 3 * place + 3]) for place in range(min(count, _MOST_COMPONENTS))
    }
    if len(each) != 1:
        raise DamagedPixelsError("components of unlike precision or size")
    depth, across, down = each.pop()
    if (across, down) != (1, 1):
        raise DamagedPixelsError("subsampled components")
    return Image(y - y_start, x - x_start, count, (depth & 0x7F) + 1, bool(depth & 0x80))


def _jpeg(stream: bytes) -> Image:
    found: Image | None = None
    adobe, jfif, position = None, False, 0
    for kind, segment, end in _segments(stream):
        position = end
        if kind in _START_OF_FRAME:
            precision, rows, columns, count = struct.unpack_from(">BHHB", segment)
            found = Image(rows, columns, count, precision, components=segment[6 : 6 + 3 * count : 3])
        elif kind == _APP0 and segment.startswith(_JFIF):
            jfif = True
        elif kind == _APP14 and segment.startswith(_ADOBE) and len(segment) > _ADOBE_TRANSFORM:
            adobe = segment[_ADOBE_TRANSFORM]
    if found is None:
        raise DamagedPixelsError("no JPEG codestream")
    if stream.find(b"\xff\xd9", position) < 0:
        raise DamagedPixelsError("a JPEG codestream without end")  # the decoder would fill it up with grey
    return replace(found, adobe_transform=adobe, jfif=jfif)


def _segments(stream: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield marker, content and end of each segment before the first scan (T.81 B.1.1).

    Raises:
        DamagedPixelsError: there is no marker where one must be.
    """
    position = 0
    while position < len(stream):
        if stream[position] != _MARKER:
            raise DamagedPixelsError("no JPEG marker where one must be")
        kind = stream[position + 1]
        if kind == _MARKER:
            position += 1  # fill byte
            continue
        position += 2
        if kind == _SOI or kind in _ALONE:
            continue
        if kind in {_SOS, _EOI}:
            return
        (length,) = struct.unpack_from(">H", stream, position)
        end = position + length
        yield kind, stream[position + 2 : end], end
        position = end
