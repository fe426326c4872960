"""Hiding places in compressed pixels: segments, boxes, scans, runs, tables of offsets, odd fragments."""

import struct
import zlib
from collections.abc import Callable
from functools import cache

import imagecodecs
import numpy as np

from tests.planted.instance import Instance, native_pixels
from tests.planted.raw import Field, Fragments

JPEG, LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_2000, HTJ2K = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"
JPEG_XL, RLE = "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.5"
ENCAPSULATED, DEFLATED_FRAMES = "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"
MPEG = "1.2.840.10008.1.2.4.102"


@cache
def _image(bits: int) -> np.ndarray:
    words = np.frombuffer(native_pixels(5), "<u2").reshape(16, 16)
    return words.astype(np.uint16) if bits > 8 else (words >> 4).astype(np.uint8)


@cache
def _jpeg() -> bytes:
    return bytes(imagecodecs.jpeg8_encode(_image(8), level=90))


@cache
def _jpeg_2000(form: str) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(_image(8), codecformat=form, reversible=True, level=0))


def _eight_bits(one: Instance, syntax: str, *parts: bytes, table: bytes = b"") -> None:
    bits = {0x00280100: 8, 0x00280101: 8, 0x00280102: 7}
    one.add({tag: Field("US", (number,)) for tag, number in bits.items()})
    _encapsulated(one, syntax, *parts, table=table)


def _encapsulated(one: Instance, syntax: str, *parts: bytes, table: bytes = b"") -> None:
    even = tuple(part + bytes(len(part) % 2) for part in parts)
    one.syntax = syntax
    one.add({0x7FE00010: Field("OB", Fragments(table, even))})


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">HH", marker, len(content) + 2) + content


def jpeg_segments(one: Instance) -> None:
    """Names in every application segment and comment, in front of every kind of segment."""
    planter = one.planter
    segments = [
        _segment(0xFFE0 | number, start + planter.word(f"JPEG APP{number}").encode())
        for number, start in (
            *(
                (0, b"JFIF\0\1\2\0\0\1\0\1\x05\x05"),
                (0, b"JFXX\0\x10"),
                (1, b"Exif\0\0II*\0\x08\0\0\0"),
                (2, b"ICC_PROFILE\0\1\1"),
            ),
            *(
                (1, b"http://ns.adobe.com/xap/1.0/\0"),
                (3, b""),
                (8, b"mrfx\0"),
                (8, b"SPIFF\0"),
                (13, b"Photoshop 3.0\0"),
            ),
            *((14, b"Adobe\0\x64\0\0\0\0\0"), (15, b"")),
        )
    ]
    segments += [_segment(0xFFFE, planter.word("JPEG comment").encode()) for _ in range(2)]
    stream = _jpeg()
    cut = stream.index(b"\xff\xda")
    late = _segment(0xFFFE, planter.word("JPEG comment in front of the scan").encode())
    _eight_bits(
        one, JPEG, stream[:2] + b"".join(segments) + stream[2:cut] + b"\xff\xff" + late + stream[cut:]
    )


def jpeg_between_scans(one: Instance) -> None:
    planter = one.planter
    stream = _jpeg()
    scan = stream[stream.index(b"\xff\xda") : -2]
    between = _segment(0xFFFE, planter.word("between two scans").encode())
    between += _segment(0xFFE1, b"Exif\0\0" + planter.word("Exif between two scans").encode())
    last = _segment(0xFFFE, planter.word("behind the last scan").encode())
    behind = planter.word("behind the end of a JPEG").encode()
    _eight_bits(one, JPEG, stream[:-2] + between + scan + last + b"\xff\xd9" + behind)


def jpeg_behind_coded_data(one: Instance) -> None:
    """Bytes that are left over at the end of the coded data, in front of EOI: decoders step over them."""
    text = one.planter.plain("behind the coded data").encode()
    _eight_bits(one, JPEG, _jpeg()[:-2] + text + text + b"\xff\xd9")


def jpeg_long_segments(one: Instance) -> None:
    """Coding segments that are longer than what they hold."""
    planter = one.planter
    stream = _jpeg()
    restart = _segment(0xFFDD, b"\0\0" + planter.plain("restart interval").encode())
    position = stream.index(b"\xff\xc4")
    length = struct.unpack_from(">H", stream, position + 2)[0]
    table = stream[position + 4 : position + 2 + length]
    tables = _segment(0xFFC4, table + planter.plain("behind a Huffman table").encode())
    rest = stream[position + 2 + length :]
    _eight_bits(one, JPEG, stream[:position] + restart + tables + rest)


def jpeg_ls(one: Instance) -> None:
    planter = one.planter
    stream = bytes(imagecodecs.jpegls_encode(_image(8)))
    segments = _segment(0xFFFE, planter.word("JPEG-LS comment").encode())
    segments += _segment(0xFFE8, b"mrfx\0" + planter.word("JPEG-LS APP8").encode())
    segments += _segment(0xFFEF, planter.word("JPEG-LS APP15").encode())
    behind = planter.word("behind the end of JPEG-LS").encode()
    _eight_bits(one, JPEG_LS, stream[:2] + segments + stream[2:] + behind)


def jpeg_2000(one: Instance) -> None:
    _commented(one, JPEG_2000, _jpeg_2000("j2k"))


def htj2k(one: Instance) -> None:
    _commented(one, HTJ2K, bytes(imagecodecs.htj2k_encode(_image(8), reversible=True)))


def _commented(one: Instance, syntax: str, stream: bytes) -> None:
    planter = one.planter
    cut = stream.index(b"\xff\x90")
    comments = b"".join(
        _segment(0xFF64, struct.pack(">H", kind) + planter.word("JPEG 2000 comment").encode())
        for kind in (0, 1)
    )
    behind = planter.word("behind the end of JPEG 2000").encode()
    _eight_bits(one, syntax, stream[:cut] + comments + stream[cut:] + behind)


def jpeg_2000_other_segments(one: Instance) -> None:
    """Segments of the main header that no decoder needs: reserved markers, lengths, registration."""
    planter = one.planter
    stream = _jpeg_2000("j2k")
    cut = stream.index(b"\xff\x90")
    marker = planter.random.choice((0xFF54, 0xFF57, 0xFF5A, 0xFF63, 0xFF6E, 0xFF6F))
    odd = _segment(marker, planter.plain(f"JPEG 2000 segment {marker:04X}").encode() * 2)
    _eight_bits(one, JPEG_2000, stream[:cut] + odd + stream[cut:])


def jpeg_2000_tile_comment(one: Instance) -> None:
    stream = bytearray(_jpeg_2000("j2k"))
    start = stream.index(b"\xff\x90")
    comment = _segment(0xFF64, b"\0\1" + one.planter.word("comment of a tile").encode())
    length = struct.unpack_from(">I", stream, start + 6)[0]
    struct.pack_into(">I", stream, start + 6, length + len(comment) if length else 0)
    _eight_bits(one, JPEG_2000, bytes(stream[: start + 12]) + comment + bytes(stream[start + 12 :]))


def jpeg_2000_boxes(one: Instance) -> None:
    planter = one.planter

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", len(content) + 8, kind) + content

    stream = _jpeg_2000("jp2")
    cut = stream.index(b"jp2c") - 4
    extra = box(b"xml ", f"<n>{planter.word('XML box')}</n>".encode())
    extra += box(b"uuid", bytes(16) + planter.word("UUID box").encode())
    extra += box(b"uinf", box(b"url ", bytes(4) + planter.word("URL box").encode()))
    extra += box(b"free", planter.word("free box").encode()) + box(
        b"jp2i", planter.word("rights box").encode()
    )
    _eight_bits(
        one, JPEG_2000, stream[:cut] + extra + stream[cut:] + box(b"xml ", planter.word("last box").encode())
    )


def jpeg_xl(one: Instance) -> None:
    planter = one.planter
    stream = bytes(imagecodecs.jpegxl_encode(_image(8), lossless=True))
    if planter.random.random() < 0.5:
        _eight_bits(one, JPEG_XL, stream + planter.plain("behind the end of JPEG XL").encode())
        return
    content = planter.plain("XML box of JPEG XL").encode() + planter.plain("XML box of JPEG XL").encode()
    container = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl "
    container += struct.pack(">I4s", len(content) + 8, b"xml ") + content
    container += struct.pack(">I4s", len(stream) + 8, b"jxlc") + stream
    _eight_bits(one, JPEG_XL, container)


def _runs(raw: bytes) -> bytes:
    """Return literal runs (PS3.5 G.3)."""
    return b"".join(
        bytes((len(raw[at : at + 128]) - 1,)) + raw[at : at + 128] for at in range(0, len(raw), 128)
    )


def _rle(*segments: bytes) -> bytes:
    even = [segment + bytes(len(segment) % 2) for segment in segments]
    offsets, position = [], 64
    for segment in even:
        offsets.append(position)
        position += len(segment)
    return struct.pack("<16I", len(even), *offsets, *[0] * (15 - len(even))) + b"".join(even)


def _halves(words: np.ndarray) -> tuple[bytes, bytes]:
    return _runs((words >> 8).astype(np.uint8).tobytes()), _runs((words & 255).astype(np.uint8).tobytes())


def rle_behind_the_image(one: Instance) -> None:
    high, low = _halves(_image(16))
    _encapsulated(one, RLE, _rle(high, low) + one.planter.word("behind the last segment").encode())


def rle_between_segments(one: Instance) -> None:
    high, low = _halves(_image(16))
    _encapsulated(one, RLE, _rle(high + one.planter.word("behind a segment").encode(), low))


def rle_more_segments(one: Instance) -> None:
    """A segment nobody needs that decodes to as many bytes as the others."""
    high, low = _halves(_image(16))
    text = one.planter.plain("a third segment").encode().ljust(256, b".")
    _encapsulated(one, RLE, _rle(high, low, _runs(text)))


def rle_header(one: Instance) -> None:
    """Text in the offsets that are not used."""
    high, low = _halves(_image(16))
    stream = bytearray(_rle(high, low))
    stream[40:50] = one.planter.plain("unused offsets").encode()
    _encapsulated(one, RLE, bytes(stream))


def rle_unused_bits(one: Instance) -> None:
    """An overlay in the unused bits, packed with the pixels."""
    words = _image(16).reshape(-1).copy()
    bits = np.unpackbits(
        np.frombuffer(one.planter.plain("bit 13 of RLE pixels").encode(), np.uint8), bitorder="little"
    )
    words[: len(bits)] |= bits.astype(np.uint16) << np.uint16(13)
    _encapsulated(one, RLE, _rle(*_halves(words)))


def fragments(one: Instance) -> None:
    """Fragments that belong to no frame, empty and odd ones."""
    planter = one.planter
    stream = _jpeg()
    half = len(stream) // 3 * 2 // 2 * 2
    words = [planter.word(f"a fragment of its own, {place}").encode() for place in ("behind", "last")]
    one.syntax = JPEG
    parts = (stream[:half], stream[half:], words[0], b"", words[1])
    _eight_bits(one, JPEG, *parts)


def first_fragment(one: Instance) -> None:
    _eight_bits(one, JPEG, one.planter.word("a fragment in front of the image").encode(), _jpeg())


def odd_fragments(one: Instance) -> None:
    stream = _jpeg()
    text = one.planter.word("behind an image of odd length").encode()
    one.syntax = JPEG
    _eight_bits(one, JPEG)
    one.add(
        {
            0x7FE00010: Field(
                "OB", Fragments(b"", (stream + text + b"." * ((len(stream) + len(text) + 1) % 2),))
            )
        }
    )


def offset_tables(one: Instance) -> None:
    planter = one.planter
    text = (planter.plain("offset table") + "ab").encode()
    _eight_bits(one, JPEG, _jpeg(), table=text)
    one.add(
        {
            tag: Field("OV", planter.plain(f"offset table {tag:08X}").encode().ljust(16))
            for tag in (0x7FE00001, 0x7FE00002)
        }
    )
    one.add({0x7FE00003: Field("UV", planter.plain("length of pixel data").encode()[:8])})
    one.planter.canaries.pop()  # eight bytes of ten


def encapsulated_native(one: Instance) -> None:
    frame = _image(16).astype("<u2").tobytes()
    _encapsulated(one, ENCAPSULATED, frame + one.planter.word("behind a native frame").encode())


def deflated_frame(one: Instance) -> None:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    frame = packer.compress(_image(16).astype("<u2").tobytes()) + packer.flush()
    _encapsulated(one, DEFLATED_FRAMES, frame + one.planter.word("behind a deflated frame").encode())


def syntax_carrier(one: Instance) -> None:
    """A transfer syntax that is the number of somebody."""
    _eight_bits(one, one.planter.uid("TransferSyntaxUID", JPEG), _jpeg())


def embedded_overlay(one: Instance) -> None:
    """An overlay in the unused bits of pixels that are compressed without loss."""
    words = _image(16).reshape(-1).copy()
    text = one.planter.plain("bit 13 of JPEG 2000 pixels")
    bits = np.unpackbits(np.frombuffer(text.encode(), np.uint8), bitorder="little")
    words[: len(bits)] |= bits.astype(np.uint16) << np.uint16(13)
    stream = imagecodecs.jpeg2k_encode(words.reshape(16, 16), codecformat="j2k", reversible=True, level=0)
    _encapsulated(one, JPEG_2000, bytes(stream))
    one.add({0x60000100: Field("US", (16,)), 0x60000102: Field("US", (13,))})


def video(one: Instance) -> None:
    text = one.planter.word("user data of a video").encode()
    _eight_bits(one, MPEG, b"\0\0\1\xb3" + b"\0\0\1\xb2" + text + bytes(32))


PLACES: tuple[Callable[[Instance], None], ...] = (
    *(
        jpeg_segments,
        jpeg_between_scans,
        jpeg_behind_coded_data,
        jpeg_long_segments,
        jpeg_ls,
        jpeg_2000,
        htj2k,
    ),
    *(jpeg_2000_other_segments, jpeg_2000_tile_comment, jpeg_2000_boxes, jpeg_xl, rle_behind_the_image),
    *(rle_between_segments, rle_more_segments, rle_header, rle_unused_bits, fragments, first_fragment),
    *(
        odd_fragments,
        offset_tables,
        encapsulated_native,
        deflated_frame,
        syntax_carrier,
        embedded_overlay,
        video,
    ),
)
