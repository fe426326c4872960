import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.jpeg import is_jpeg, jpeg_metadata
from deid.jpeg2000 import is_jpeg2000, jpeg2000_metadata
from deid.rle import rle_metadata, rle_planes

IMAGE = (np.arange(64 * 64, dtype=np.uint32).reshape(64, 64) * 7919 % 251).astype(np.uint8)
CANARY = b"DOE^JANE 4711"


def segment(marker, content):
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def without(stream, ranges):
    kept, position = b"", 0
    for start, length in ranges:
        kept += stream[position:start]
        position = start + length
    return kept + stream[position:]


JPEGS = {
    "baseline": (imagecodecs.jpeg8_encode, imagecodecs.jpeg8_decode),
    "lossless": (imagecodecs.ljpeg_encode, imagecodecs.ljpeg_decode),
    "jpeg-ls": (imagecodecs.jpegls_encode, imagecodecs.jpegls_decode),
}


@pytest.mark.parametrize("kind", JPEGS)
def test_comments_exif_and_what_follows_go_and_the_image_stays(kind):
    encode, decode = JPEGS[kind]
    stream = encode(IMAGE)
    planted = (
        stream[:2]
        + segment(0xE1, b"Exif\0\0" + CANARY)
        + segment(0xFE, CANARY)
        + segment(0xE0, b"JFXX\0" + CANARY)
        + segment(0xEE, b"Adobe" + CANARY)
        + stream[2:]
        + CANARY
    )
    view = memoryview(planted)
    assert is_jpeg(view)
    cleaned = without(planted, jpeg_metadata(view))
    assert CANARY not in cleaned
    assert np.array_equal(decode(cleaned), decode(stream))
    # Cleaned once, there is nothing left to do.
    assert jpeg_metadata(memoryview(cleaned)) == ()


def test_segments_decoders_need_stay():
    stream = imagecodecs.jpeg8_encode(IMAGE)
    assert b"JFIF\0" in without(stream, jpeg_metadata(memoryview(stream)))
    adobe = stream[:2] + segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01") + stream[2:]
    assert jpeg_metadata(memoryview(adobe)) == ()


@pytest.mark.parametrize(
    "damage", [b"\xff\xd8\xff\xe1\xff\xff", b"\xff\xd8\xff\xe1\0\0", b"\xff\xd8ab", b"\xff\xd8\xff\x05ab"]
)
def test_streams_nobody_can_follow_are_not_judged(damage):
    assert jpeg_metadata(memoryview(damage)) is None


def test_one_pad_byte_may_follow():
    stream = imagecodecs.jpeg8_encode(IMAGE)
    padded = stream + b"\0" * (len(stream) % 2)
    assert jpeg_metadata(memoryview(padded)) == ()
    assert jpeg_metadata(memoryview(padded + b"xy"))[-1][1] >= 2


@pytest.mark.parametrize(
    "encode", [imagecodecs.jpeg2k_encode, imagecodecs.htj2k_encode], ids=["j2k", "htj2k"]
)
def test_jpeg_2000_comments_and_what_follows_go(encode):
    stream = encode(IMAGE, codecformat="j2k") if encode is imagecodecs.jpeg2k_encode else encode(IMAGE)
    first_marker_after_siz = 4 + int.from_bytes(stream[4:6], "big")
    planted = (
        stream[:first_marker_after_siz]
        + segment(0x64, b"\0\x01" + CANARY)
        + stream[first_marker_after_siz:]
        + CANARY
    )
    view = memoryview(planted)
    assert is_jpeg2000(view)
    cleaned = without(planted, jpeg2000_metadata(view))
    assert CANARY not in cleaned
    assert b"OpenJP" not in cleaned
    decode = imagecodecs.jpeg2k_decode if encode is imagecodecs.jpeg2k_encode else imagecodecs.htj2k_decode
    assert np.array_equal(decode(cleaned), IMAGE)


def test_a_comment_within_a_tile_part_is_not_judged():
    stream = imagecodecs.jpeg2k_encode(IMAGE, codecformat="j2k")
    tile = stream.index(b"\xff\x90") + 12
    assert jpeg2000_metadata(memoryview(stream[:tile] + segment(0x64, CANARY) + stream[tile:])) is None


def test_comments_behind_the_last_tile_part_go():
    stream = imagecodecs.jpeg2k_encode(IMAGE, codecformat="j2k")
    comment = segment(0x64, b"\0\x01" + CANARY)
    planted = stream[:-2] + comment + comment + stream[-2:]
    cleaned = without(planted, jpeg2000_metadata(memoryview(planted)))
    assert cleaned == without(stream, jpeg2000_metadata(memoryview(stream)))
    for damaged in (stream[:-2] + comment[:9], stream[:-2] + comment, stream[:-2] + CANARY + stream[-2:]):
        assert jpeg2000_metadata(memoryview(damaged)) is None


@pytest.mark.parametrize("judge", [jpeg_metadata, jpeg2000_metadata])
@given(data=st.data())
def test_any_bytes_get_an_answer_whose_ranges_ascend(judge, data):
    stream = data.draw(st.sampled_from([imagecodecs.jpeg8_encode(IMAGE), imagecodecs.jpegls_encode(IMAGE)]))
    cut = data.draw(st.integers(2, len(stream)))
    mangled = bytearray(stream[:cut])
    for _ in range(3):
        mangled[data.draw(st.integers(0, cut - 1))] = data.draw(st.integers(0, 255))
    ranges = judge(memoryview(bytes(mangled))) or ()
    position = 0
    for start, length in ranges:
        assert position <= start
        assert length > 0
        position = start + length
    assert position <= cut


def packed(*segments):
    offsets, body = [], b""
    for one in segments:
        offsets.append(64 + len(body))
        body += one + b"\0" * (len(one) % 2)
    header = len(segments).to_bytes(4, "little") + b"".join(n.to_bytes(4, "little") for n in offsets)
    return header.ljust(64, b"\0") + body


def test_rle_frames_end_where_their_last_run_ends():
    literal, run = b"\x03abcd", b"\xfd\x07"  # four bytes each
    frame = packed(literal, run)
    assert rle_metadata(memoryview(frame), 2, 4) == ()
    assert rle_metadata(memoryview(frame + CANARY), 2, 4) == ((len(frame), len(CANARY)),)
    hidden = packed(literal + CANARY, run)
    assert rle_metadata(memoryview(hidden), 2, 4) is None
    assert rle_metadata(memoryview(frame[:60]), 2, 4) is None
    assert rle_metadata(memoryview(frame), 2, 5) is None
    unused = bytearray(frame)
    unused[12:16] = CANARY[:4]
    assert rle_metadata(memoryview(bytes(unused)), 2, 4) is None


def test_rle_frames_have_a_segment_for_each_byte_of_a_pixel_and_no_more():
    literal = b"\x03abcd"
    assert rle_metadata(memoryview(packed(literal, literal, literal)), 2, 4) is None
    assert rle_metadata(memoryview(packed(literal)), 2, 4) is None
    assert rle_planes(memoryview(packed(literal, b"\x80\xfd\x07"))) == [b"abcd", b"\x07" * 4]


@pytest.mark.parametrize("kind", JPEGS)
def test_bytes_left_over_behind_coded_data_are_not_judged(kind):
    stream = JPEGS[kind][0](IMAGE)
    end = stream.rindex(b"\xff\xd9")
    assert jpeg_metadata(memoryview(stream[:end] + CANARY + stream[end:])) is None
    assert jpeg_metadata(memoryview(stream[:end] + CANARY)) is None  # cut short
    assert jpeg_metadata(memoryview(stream)) is not None


def test_comments_between_scans_go():
    stream = imagecodecs.jpeg8_encode(IMAGE)
    scan = stream[stream.index(b"\xff\xda") : -2]
    planted = stream[:-2] + segment(0xFE, CANARY) + scan + segment(0xE1, CANARY) + b"\xff\xd9"
    cleaned = without(planted, jpeg_metadata(memoryview(planted)))
    assert CANARY not in cleaned
    assert cleaned.count(scan) == 2


@pytest.mark.parametrize("marker", [0xC4, 0xDB, 0xDA, 0xC0])
def test_segments_longer_than_what_they_state_are_not_judged(marker):
    stream = imagecodecs.jpeg8_encode(IMAGE)
    start = stream.index(bytes((0xFF, marker)))
    length = int.from_bytes(stream[start + 2 : start + 4], "big")
    content = stream[start + 4 : start + 2 + length]
    longer = stream[:start] + segment(marker, content + CANARY) + stream[start + 2 + length :]
    assert jpeg_metadata(memoryview(longer)) is None


def test_text_in_segments_a_decoder_steps_over_is_not_judged():
    stream = imagecodecs.jpeg2k_encode(IMAGE, codecformat="j2k")
    tile = stream.index(b"\xff\x90")
    for marker in (0x54, 0x5A, 0x63, 0x6F):
        assert jpeg2000_metadata(memoryview(stream[:tile] + segment(marker, CANARY) + stream[tile:])) is None
    # Lengths of packets that are none: behind the header of the tile-part, whose length is stated.
    lengths = segment(0x58, b"\0" + CANARY)
    part = bytearray(stream[tile : tile + 12])
    part[6:10] = (int.from_bytes(part[6:10], "big") + len(lengths)).to_bytes(4, "big")
    planted = stream[:tile] + bytes(part) + lengths + stream[tile + 12 :]
    assert jpeg2000_metadata(memoryview(planted)) is None
