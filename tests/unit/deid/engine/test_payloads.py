import struct
import zlib

import numpy as np
import pytest

from deid.engine import WithheldReason
from deid.icc import plain_profile
from deid.offsets import is_plain_extended, plain_offset_table
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
from tests.unit.deid.engine.test_jpeg import CANARY, segment

JPEG_LS = "1.2.840.10008.1.2.4.80"
UNCOMPRESSED, DEFLATED_FRAME = "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"
MPEG4 = "1.2.840.10008.1.2.4.102"


def encapsulated(*fragments, offsets=()):
    table = struct.pack(f"<{len(offsets)}I", *offsets)
    parts = b"".join(
        b"\xfe\xff\x00\xe0" + len(one).to_bytes(4, "little") + one for one in (table, *fragments)
    )
    return dataset(
        *pixels([])[:-1], b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + parts + b"\xfe\xff\xdd\xe0\0\0\0\0"
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
    stream = b"\xff\xd8" + segment(0xF7, bytes(9)) + segment(0xDA, bytes(8)) + b"coded!" + b"\xff\xd9"
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
    stream = b"\xff\xd8" + comment + segment(0xDA, bytes(8)) + b"coded!" + b"\xff\xd9"
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
    [(JPEG_LS, CANARY), (MPEG4, b"\0\0\x01\xb3"), (DEFLATED_FRAME, CANARY), (JPEG_LS, b"\0\0\0\x0cjP  ")],
)
def test_what_cannot_be_looked_into_is_withheld(syntax, fragment):
    form = deidentifier().deidentify(encapsulated(fragment), syntax, INSTANCE)
    assert form.reason is WithheldReason.CODESTREAM


def icc(version):
    words = b"desc" + bytes(4) + (14).to_bytes(4, "big") + CANARY + bytes(80)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    table = struct.pack(">I4sII4sII", 2, b"desc", 156, len(words), b"wtpt", 156 + len(words), len(white))
    head = bytearray(128)
    head[8] = version
    head[24:36] = struct.pack(">6H", 1999, 3, 4, 5, 6, 7)
    head[36:40] = b"acsp"
    head[48:52] = b"DOE "
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


@pytest.mark.parametrize("broken", [b"", b"x" * 200, icc(2)[:150], icc(2)[:200]])
def test_what_is_no_profile_goes(broken):
    assert plain_profile(broken) is None


def test_payload_views_are_of_the_original_where_nothing_is_edited():
    data = memoryview(dataset(*pixels([1, 2, 3, 4])))
    form = published(data)
    shown = published_payload(data, form.split, 0, form.payload_edits)
    assert np.shares_memory(np.frombuffer(shown, np.uint8), np.frombuffer(data, np.uint8))
