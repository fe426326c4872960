import struct
import zlib

import numpy as np
import pytest

from deid.engine import WithheldReason
from deid.icc import plain_profile
from deid.offsets import is_plain_extended, plain_offset_table
from deid.rle import rle_metadata
from deid.splice import Hole, published_payload
from tests.unit.deid.engine.build import (
    BIG_ENDIAN,
    EXPLICIT,
    INSTANCE,
    dataset,
    deidentifier,
    el,
    pixels,
    published,
    us,
)
from tests.unit.deid.engine.test_jpeg import CANARY, packed, segment

JPEG_LS, RLE = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5"
UNCOMPRESSED, DEFLATED_FRAME = "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"
MPEG4, JPEG_XL = "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.110"


def encapsulated(*fragments, offsets=(), more=()):
    table = struct.pack(f"<{len(offsets)}I", *offsets)
    parts = b"".join(
        b"\xfe\xff\x00\xe0" + len(one).to_bytes(4, "little") + one for one in (table, *fragments)
    )
    return dataset(
        *pixels([])[:-1],
        *more,
        b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + parts + b"\xfe\xff\xdd\xe0\0\0\0\0",
    )


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN])
def test_bits_outside_the_stored_ones_are_cleared(syntax):
    data = dataset(*pixels([0xF123, 0x0456, 0x8000, 0x0FFF], syntax=syntax), syntax=syntax)
    form = published(data, syntax)
    shown = published_payload(data, form.split, 0, form.payload_edits)
    assert bytes(shown) == us(0x0123, 0x0456, 0, 0x0FFF)


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN])
def test_clean_pixels_are_left_alone(syntax):
    for signed, values in ((0, [1, 2, 3, 0x0FFF]), (1, [1, 0xFFFF, 0xF800, 0x07FF])):
        data = dataset(*pixels(values, signed=signed, syntax=syntax), syntax=syntax)
        assert published(data, syntax).payload_edits == {}


def test_signed_pixels_without_sign_extension_lose_what_lies_above():
    data = dataset(*pixels([0x3FFF, 1, 2, 3], signed=1))
    form = published(data)
    assert bytes(published_payload(data, form.split, 0, form.payload_edits)) == us(0x0FFF, 1, 2, 3)


def test_bits_below_the_stored_ones_are_cleared_too():
    data = dataset(*pixels([0x1231, 0x1230, 0, 0], stored=12, high=15))
    form = published(data)
    assert bytes(published_payload(data, form.split, 0, form.payload_edits)) == us(0x1230, 0x1230, 0, 0)


def test_comments_in_fragments_go_and_offsets_with_them():
    stream = (
        b"\xff\xd8"
        + segment(0xF7, bytes(5) + b"\1" + bytes(3))
        + segment(0xDA, b"\1" + bytes(5))
        + b"coded!"
        + b"\xff\xd9"
    )
    planted = stream[:2] + segment(0xFE, CANARY) + stream[2:]
    planted += b"\0" * (len(planted) % 2)
    data = encapsulated(planted, stream, offsets=(0, len(planted) + 8))
    form = published(data, JPEG_LS)
    assert form.transfer_syntax == JPEG_LS
    assert set(form.payload_edits) == {0}
    shown = [bytes(published_payload(data, form.split, n, form.payload_edits)) for n in (0, 1)]
    assert shown[0].rstrip(b"\0") == stream
    assert shown[1] == stream


def test_a_comment_may_lie_across_two_fragments():
    comment = segment(0xFE, CANARY + b"!")
    stream = b"\xff\xd8" + comment + segment(0xDA, b"\1" + bytes(5)) + b"coded!" + b"\xff\xd9"
    data = encapsulated(stream[:10], stream[10:])
    form = published(data, JPEG_LS)
    shown = b"".join(bytes(published_payload(data, form.split, n, form.payload_edits)) for n in (0, 1))
    assert shown == stream.replace(comment, b"")


def test_offset_tables_are_believed_only_where_the_fragments_bear_them_out():
    frames = [Hole(8, 100), Hole(116, 50)]
    good = struct.pack("<2I", 0, 108)
    assert plain_offset_table(good, frames) == good
    for bad in (b"DOE^JANE", good + b"DOE^", b"odd", struct.pack("<2I", 0, 107), struct.pack("<2I", 108, 0)):
        assert plain_offset_table(bad, frames) == b""
    longs = struct.pack("<2Q", 0, 108)
    assert is_plain_extended(longs, struct.pack("<2Q", 100, 49), frames)
    assert not is_plain_extended(longs, b"DOE^JANEDOE^JANE", frames)
    assert not is_plain_extended(b"", b"", frames)


def test_uncompressed_and_deflated_fragments_are_looked_into():
    frame = us(0x0123, 2, 3, 4)
    data = encapsulated(frame + CANARY + b"!")
    form = published(data, UNCOMPRESSED)
    assert bytes(published_payload(data, form.split, 0, form.payload_edits)) == frame
    deflater = zlib.compressobj(wbits=-15)
    stream = deflater.compress(frame) + deflater.flush()
    data = encapsulated(stream + CANARY)
    form = published(data, DEFLATED_FRAME)
    shown = bytes(published_payload(data, form.split, 0, form.payload_edits))
    assert CANARY not in shown
    assert zlib.decompress(shown, wbits=-15) == frame


@pytest.mark.parametrize(
    ("syntax", "fragment"),
    [
        (JPEG_LS, CANARY),
        (MPEG4, b"\0\0\x01\xb3"),
        (DEFLATED_FRAME, CANARY),
        (JPEG_LS, b"\0\0\0\x0cjP  "),
        (
            UNCOMPRESSED,
            b"\xff\xd8" + segment(0xFE, CANARY) + b"\xff\xd9",
        ),  # compressed pixels called uncompressed
    ],
)
def test_what_cannot_be_looked_into_is_withheld(syntax, fragment):
    form = deidentifier().deidentify(encapsulated(fragment), syntax, INSTANCE)
    assert form.reason is WithheldReason.CODESTREAM


def test_a_frame_of_bits_is_packed_before_it_is_run_length_encoded():
    shape = [el(0x00280010, "US", us(3)), el(0x00280011, "US", us(9)), el(0x00280100, "US", us(1))]
    frame = packed(b"\x03\xff\x01\xff\x07")  # 27 bits in four bytes
    data = encapsulated(frame, frame + CANARY + b"!", more=[*shape, el(0x00280008, "IS", "2")])
    form = published(data, RLE)
    shown = [bytes(published_payload(data, form.split, n, form.payload_edits)) for n in (0, 1)]
    assert shown == [frame, frame]


def test_one_run_length_frame_may_lie_in_several_fragments():
    frame = packed(b"\xfd\x07", b"\x03abcd")
    data = encapsulated(frame[:66], frame[66:68], frame[68:] + CANARY + b"!")
    form = published(data, RLE)
    shown = [bytes(published_payload(data, form.split, n, form.payload_edits)) for n in range(3)]
    assert shown == [frame[:66], frame[66:68], frame[68:]]
    several = encapsulated(frame[:66], frame[66:], more=[el(0x00280008, "IS", "2")])
    assert deidentifier().deidentify(several, RLE, INSTANCE).reason is WithheldReason.CODESTREAM


def test_a_run_length_frame_whose_segments_lie_behind_its_end_is_none():
    stream = struct.pack("<16I", 2, 64, 9999, *[0] * 13) + bytes(4)
    assert rle_metadata(memoryview(stream), 2, 4) is None


def test_frames_whose_number_nobody_told_are_looked_into_one_by_one():
    frame = packed(b"\xfd\x07", b"\x03abcd")
    data = encapsulated(frame, frame)
    assert published(data, RLE).payload_edits == {}


def icc(version):
    words = b"desc" + bytes(4) + (14).to_bytes(4, "big") + CANARY + bytes(80)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    table = struct.pack(">I4sII4sII", 2, b"desc", 156, len(words), b"wtpt", 156 + len(words), len(white))
    head = bytearray(128)
    head[8] = version
    head[12:24] = b"mntrRGB XYZ "
    head[24:36] = struct.pack(">6H", 1999, 3, 4, 5, 6, 7)
    head[36:40] = b"acsp"
    head[48:52] = b"DOE "
    head[68:80] = bytes.fromhex("0000f6d6000100000000d32d")
    return bytes(head) + table + words + white


@pytest.mark.parametrize("version", [2, 4])
def test_colour_profiles_keep_numbers_and_lose_words(version):
    profile = icc(version)
    plain = plain_profile(profile)
    assert profile[-20:] in plain
    for hidden in (CANARY, b"DOE", struct.pack(">6H", 1999, 3, 4, 5, 6, 7)):
        assert hidden not in plain
    assert int.from_bytes(plain[:4], "big") == len(plain)
    assert plain_profile(plain) == plain
    form = published(dataset(el(0x00282000, "OB", profile)))
    assert plain in form.before


def test_names_of_tags_and_numbers_that_are_text_go():
    head = icc(2)[:128]
    tags = [
        (b"wtpt", b"XYZ " + bytes(4) + CANARY[:12]),
        (b"rTRC", b"curv" + bytes(4) + (1).to_bytes(4, "big") + b"\2\x33" + CANARY),
        (b"A2B0", b"mft1" + bytes(40) + CANARY * 2),
        (b"JANE", b"XYZ " + bytes(4) + struct.pack(">3i", 1, 2, 3)),
        (b"bTRC", b"curvDOE " + struct.pack(">IH", 1, 563)),
    ]
    table, body, position = b"", b"", 132 + 12 * len(tags)
    for name, value in tags:
        table += struct.pack(">4sII", name, position + len(body), len(value))
        body += value
    plain = plain_profile(head + struct.pack(">I", len(tags)) + table + body)
    assert b"curv" + bytes(4) + struct.pack(">IH", 1, 563) in plain
    assert plain.count(b"curv") == 1
    assert not any(word in plain for word in (b"JANE", b"DOE", CANARY[:6]))
    assert plain_profile(head[:12] + b"DOE^JANE^ABC" + plain[24:]) is None


def test_run_length_frames_that_hide_bits_are_withheld():
    high, low = b"\x03\x00\x01\x0f\x02", b"\x03abcd"
    assert published(encapsulated(packed(high, low)), RLE).payload_edits == {}
    hidden = packed(b"\x03\x00\x11\x0f\x42", low)
    assert deidentifier().deidentify(encapsulated(hidden), RLE, INSTANCE).reason is WithheldReason.CODESTREAM


@pytest.mark.parametrize(("bits", "position"), [(16, 12), (1, 13), (16, 0)])
def test_an_overlay_in_the_bits_of_compressed_pixels_is_not_overlooked(bits, position):
    stream = b"\xff\xd8" + segment(0xF7, bytes(5) + b"\1" + bytes(3)) + b"\xff\xd9"
    engine = deidentifier()
    assert published(encapsulated(stream), JPEG_LS, engine)
    planes = [el(0x60020100, "US", us(bits)), el(0x60020102, "US", us(position))]
    where = [0x60020100, 0x60020102]
    data = encapsulated(stream)
    start = data.index(b"\xe0\x7f\x10\x00")
    hidden = data[:start] + b"".join(planes) + data[start:]
    assert engine.deidentify(hidden, JPEG_LS, INSTANCE).reason is WithheldReason.CODESTREAM
    apart = [el(where[0], "US", us(1)), el(where[1], "US", us(0))]
    assert published(data[:start] + b"".join(apart) + data[start:], JPEG_LS, engine)
    assert engine.deidentify(hidden, JPEG_LS, INSTANCE).reason is WithheldReason.CODESTREAM


@pytest.mark.parametrize("syntax", [f"{JPEG_LS}.19530608", "1.2.840.10008.1.2.4.19530608"])
def test_a_transfer_syntax_that_is_a_number_of_somebody_is_not_published(syntax):
    stream = b"\xff\xd8" + segment(0xF7, bytes(5) + b"\1" + bytes(3)) + b"\xff\xd9"
    assert (
        deidentifier().deidentify(encapsulated(stream), syntax, INSTANCE).reason is WithheldReason.CODESTREAM
    )


def test_jpeg_xl_is_withheld():
    form = deidentifier().deidentify(encapsulated(b"\xff\x0a" + bytes(20)), JPEG_XL, INSTANCE)
    assert form.reason is WithheldReason.CODESTREAM


@pytest.mark.parametrize("broken", [b"", b"x" * 200, icc(2)[:150], icc(2)[:200]])
def test_what_is_no_profile_goes(broken):
    assert plain_profile(broken) is None


def test_payload_views_are_of_the_original_where_nothing_is_edited():
    data = memoryview(dataset(*pixels([1, 2, 3, 4])))
    form = published(data)
    shown = published_payload(data, form.split, 0, form.payload_edits)
    assert np.shares_memory(np.frombuffer(shown, np.uint8), np.frombuffer(data, np.uint8))
