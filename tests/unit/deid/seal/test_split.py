import mmap
import struct

import numpy as np
import pytest

from deid.elements import Encoding, elements
from deid.splice import Hole, Split, Unspliced, Unsplittable, payload_of, split, split_walked
from tests.unit.deid.seal.build import (
    BIG_ENDIAN,
    EXPLICIT,
    JPEG,
    element,
    fragments,
    header,
    item,
    native,
    payloads,
)

IMAGE = bytes(range(12))  # 2 rows, 3 columns, 16 bits
TAIL = element(0xFFFCFFFC, "OB", b"\0\0")


def test_a_native_frame_is_a_hole_of_its_size_and_the_rest_is_not():
    data = native(IMAGE, tail=TAIL)
    found = split(data, EXPLICIT)
    start = data.index(IMAGE)
    assert found.holes == (Hole(start, 12),)
    assert (found.pixel_tag, found.pixel_vr, found.encapsulated) == (0x7FE00010, "OW", False)
    assert (found.head_end, found.tail_start) == (start - 12, start + 12)
    assert (found.layout.rows, found.layout.columns, found.layout.bits_stored) == (2, 3, 16)


@pytest.mark.parametrize("extra", [1, 2, 128])
def test_bytes_behind_the_image_are_in_no_hole(extra):
    data = native(IMAGE + b"x" * extra)
    found = split(data, EXPLICIT)
    assert payloads(data) == [IMAGE]
    assert found.value_end - found.holes[0].start - 12 >= extra


def test_every_frame_is_a_hole():
    assert payloads(native(IMAGE * 3, frames=3)) == [IMAGE] * 3


@pytest.mark.parametrize(("text", "frames"), [("", 1), ("0", 1), (" 2 ", 2)])
def test_number_of_frames_is_read_generously(text, frames):
    assert len(split(native(IMAGE * 2, frames=text), EXPLICIT).holes) == frames


@pytest.mark.parametrize("text", ["-1", "1A", "9" * 40, "1e3", "1\\2"])
def test_number_of_frames_that_is_no_number_is_not_guessed(text):
    assert split(native(IMAGE * 2, frames=text), EXPLICIT) == Unsplittable(Unspliced.NO_LAYOUT)


def test_frames_that_end_within_a_byte_stay_together():
    data = native(bytes(range(1, 12)), "OB", rows=3, columns=9, bits=1, frames=3)  # 27 bits each, 81 in all
    assert payloads(data) == [bytes(range(1, 12))]
    assert split(data, EXPLICIT).layout.frames == 3


def test_frames_of_whole_bytes_of_bits_are_apart():
    assert payloads(native(b"abcd", "OB", rows=2, columns=8, bits=1, frames=2)) == [b"ab", b"cd"]


@pytest.mark.parametrize(("photometric", "size"), [("YBR_FULL_422", 8), ("YBR_PARTIAL_420", 6), ("RGB", 12)])
def test_subsampled_frames_have_their_own_size(photometric, size):
    data = native(bytes(size), "OB", rows=2, columns=2, samples=3, bits=8, photometric=photometric)
    assert [len(payload) for payload in payloads(data)] == [size]


def test_a_photometric_that_lies_about_subsampling_is_overruled_by_the_value():
    data = native(bytes(12), "OB", rows=2, columns=2, samples=3, bits=8, photometric="YBR_FULL_422")
    assert [len(payload) for payload in payloads(data)] == [12]


def test_fragments_are_holes_and_the_offset_table_is_kept():
    table = struct.pack("<II", 0, 12)
    data = fragments([b"abcd", b"", b"efghij"], table, TAIL)
    found = split(data, JPEG)
    assert found.encapsulated
    assert found.offset_table == table
    assert payloads(data, JPEG) == [b"abcd", b"", b"efghij"]
    assert data[found.tail_start :] == TAIL


def test_big_endian_words_are_turned():
    data = native(struct.pack(">6H", 1, 2, 3, 4, 5, 60000), order=">")
    assert payloads(data, BIG_ENDIAN) == [struct.pack("<6H", 1, 2, 3, 4, 5, 60000)]


def test_big_endian_bytes_in_words_are_turned_even_where_frames_share_a_word():
    little = bytes(range(9)) + bytes(range(100, 109))
    big = b"".join(little[i : i + 2][::-1] for i in range(0, 18, 2))
    data = native(big, order=">", rows=3, columns=3, bits=8, frames=2)
    assert payloads(data, BIG_ENDIAN) == [little[:9], little[9:]]


DOSES = [1249000, 1249000, 1250000, 1250000, 1247000, 66000]


@pytest.mark.parametrize("bits", [32, 64])
def test_big_endian_cells_of_several_words_are_read_as_they_were_written(bits):
    letter = {32: "I", 64: "Q"}[bits]
    little = struct.pack(f"<6{letter}", *DOSES)
    whole = struct.pack(f">6{letter}", *DOSES)
    by_words = np.frombuffer(little, "<u2").byteswap().tobytes()  # PS3.5 7.3: OW is words of 16 bits
    for written in (whole, by_words):
        assert payloads(native(written, order=">", bits=bits), BIG_ENDIAN) == [little]
    flat = struct.pack(f">6{letter}", *[0x00010001] * 6)  # nobody can tell, and the standard is believed
    assert split(native(flat, order=">", bits=bits), BIG_ENDIAN).swap == 2


def test_big_endian_bytes_stay():
    assert payloads(native(b"abcdef", "OB", order=">", bits=8), BIG_ENDIAN) == [b"abcdef"]


def test_bytes_decide_over_the_declared_encoding():
    assert isinstance(split(native(IMAGE), "1.2.840.10008.1.2"), Split)


def test_a_walk_that_was_made_already_serves():
    data = native(IMAGE, tail=TAIL)
    walked = list(elements(data, Encoding.EXPLICIT_LE))
    assert split_walked(data, EXPLICIT, Encoding.EXPLICIT_LE, walked) == split(data, EXPLICIT)


def test_without_pixels_there_are_no_holes():
    data = header()
    found = split(data, EXPLICIT)
    assert (found.pixel_tag, found.holes, found.head_end, found.tail_start) == (
        None,
        (),
        len(data),
        len(data),
    )


def test_an_uncompressed_image_under_a_compressed_syntax_is_believed_only_if_it_fits():
    assert isinstance(split(native(IMAGE), JPEG), Split)
    assert split(native(IMAGE + b"more"), JPEG) == Unsplittable(Unspliced.CONTRADICTION)


@pytest.mark.parametrize(
    ("data", "syntax", "reason"),
    [
        (native(IMAGE), "1.2.840.113619.5.2", Unspliced.UNKNOWN_SYNTAX),
        (native(IMAGE)[:-1], EXPLICIT, Unspliced.MALFORMED),
        (native(IMAGE) + b"junk", EXPLICIT, Unspliced.MALFORMED),
        (native(IMAGE[:10]), EXPLICIT, Unspliced.VALUE_SHORT),
        (native(IMAGE, rows=65535, columns=65535), EXPLICIT, Unspliced.VALUE_SHORT),
        (native(IMAGE, frames=2147483647), EXPLICIT, Unspliced.TOO_MANY_PAYLOADS),
        (native(IMAGE, rows=0), EXPLICIT, Unspliced.NO_LAYOUT),
        (element(0x7FE00010, "OW", IMAGE), EXPLICIT, Unspliced.NO_LAYOUT),
        (native(IMAGE) + element(0x7FE00010, "OW", IMAGE), EXPLICIT, Unspliced.TWO_PIXEL_ELEMENTS),
        (header() + element(0x7FE00010, "UT", IMAGE), EXPLICIT, Unspliced.PIXEL_VR),
        (fragments([b"abcd"]), EXPLICIT, Unspliced.CONTRADICTION),
        (fragments([b"abcd"]).replace(b"\x7f\x10\0OB", b"\x7f\x10\0SQ"), JPEG, Unspliced.PIXEL_VR),
        (fragments([b"abcd"])[:-8], JPEG, Unspliced.MALFORMED),
        (
            native(struct.pack(">3H", 1, 2, 3)[:5], order=">", rows=1, columns=7, bits=8),
            BIG_ENDIAN,
            Unspliced.VALUE_SHORT,
        ),
    ],
)
def test_what_does_not_split_says_why(data, syntax, reason):
    assert split(data, syntax) == Unsplittable(reason)


def test_a_fragment_longer_than_the_element_is_refused():
    data = fragments([b"abcd"]).replace(item(b"abcd"), b"\xfe\xff\x00\xe0" + struct.pack("<I", 12) + b"abcd")
    assert split(data, JPEG) in {Unsplittable(Unspliced.MALFORMED), Unsplittable(Unspliced.FRAGMENTS)}


def test_nonsense_about_bits_is_replaced_by_the_plainest_reading():
    wrong = header() + element(0x00280101, "US", b"\xff\0") + element(0x00280102, "US", b"\x20\0")
    layout = split(wrong + element(0x7FE00010, "OW", IMAGE), EXPLICIT).layout
    assert (layout.bits_stored, layout.high_bit) == (16, 15)


def test_a_mapped_file_is_split_without_copying_its_pixels(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(native(IMAGE))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        found = split(mapped, EXPLICIT)
        with memoryview(mapped) as view:
            payload = payload_of(view, found, 0)
            assert isinstance(payload, memoryview)
            assert bytes(payload) == IMAGE
            payload.release()
