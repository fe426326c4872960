import struct
import zlib
from dataclasses import replace

import pytest

from deid.elements import Encoding, WalkError
from deid.encode import element, sequence
from dgis.transcode.dataset import CLOSE_ITEM, CLOSE_SEQUENCE, OPEN_ITEM, Rewriter
from dgis.transcode.errors import TranscodeError
from dgis.transcode.limits import Limits
from dgis.transcode.source import Source
from dgis.transcode.syntaxes import CODECS, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from dgis.transcode.transcoder import GatewayTranscoder
from tests.tools.transcoding import Lying

_LE, _BE, _IMPLICIT = Encoding.EXPLICIT_LE, Encoding.EXPLICIT_BE, Encoding.IMPLICIT_LE


def rewritten(data, encoding, target=_LE):
    return b"".join(map(bytes, Rewriter(Source([data]), encoding, target).pieces()))


def implicit(tag, value, length=None):
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def big(tag, vr, value, *, long=False):
    head = struct.pack(">HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack(">HI", 0, len(value)) if long else struct.pack(">H", len(value))) + value


@pytest.mark.parametrize(
    ("vr", "value", "long"),
    [
        ("US", struct.pack(">3H", 1, 2, 0xFF00), False),
        ("AT", bytes.fromhex("0008 0018 7fe0 0010"), False),
        ("FD", struct.pack(">2d", 1.5, -3e200), False),
        ("SL", struct.pack(">i", -70_000), False),
        ("OW", struct.pack(">5H", 1, 2, 3, 4, 5), True),
        ("OF", struct.pack(">2f", 0.1, 5), True),
        ("OV", struct.pack(">Q", 1 << 60), True),
    ],
)
def test_words_change_their_order_piece_by_piece(vr, value, long):
    data = big(0x00091010, vr, value, long=long)
    pieces = [data[start : start + 3] for start in range(0, len(data), 3)]
    after = b"".join(map(bytes, Rewriter(Source(pieces), _BE, _LE).pieces()))
    width = {"US": 2, "AT": 2, "FD": 8, "SL": 4, "OW": 2, "OF": 4, "OV": 8}[vr]
    turned = b"".join(value[at : at + width][::-1] for at in range(0, len(value), width))
    assert after == element(0x00091010, vr, turned)


@pytest.mark.parametrize("vr", ["OB", "UN"])
def test_bytes_have_no_order(vr):
    assert rewritten(big(0x00091010, vr, b"abcd", long=True), _BE) == element(0x00091010, vr, b"abcd")


def test_cells_above_a_byte_in_ob_are_words_all_the_same():
    data = big(0x00280100, "US", b"\0\x20") + big(0x7FE00010, "OB", bytes(range(8)), long=True)
    assert rewritten(data, _BE)[-8:] == bytes([3, 2, 1, 0, 7, 6, 5, 4])


@pytest.mark.parametrize("form", [">6I", "<6I"])
def test_cells_of_several_words_are_read_as_they_were_written(form):
    cells = struct.pack("<6I", 1249000, 1249000, 1250000, 1250000, 1247000, 66000)
    written = struct.pack(form, *struct.unpack("<6I", cells))
    if form[0] == "<":  # by words of 16 bits, as PS3.5 7.3 has it
        written = b"".join(written[at : at + 2][::-1] for at in range(0, len(written), 2))
    data = big(0x00280100, "US", b"\0\x20") + big(0x7FE00010, "OW", written, long=True)
    assert rewritten(data, _BE)[-24:] == cells


@pytest.mark.parametrize(("representation", "vr"), [(0, "US"), (1, "SS")])
def test_pixel_representation_gives_numbers_their_sign_in_items_too(representation, vr):
    pixel = implicit(0x00280103, struct.pack("<H", representation))
    item = implicit(0xFFFEE000, implicit(0x00283002, bytes(6)))
    data = pixel + implicit(0x00280106, b"\0\1") + implicit(0x00283000, item)
    after = rewritten(data, _IMPLICIT)
    assert element(0x00280106, vr, b"\0\1") in after
    assert element(0x00283002, vr, bytes(6)) in after


@pytest.mark.parametrize(("entries", "vr"), [(1, "US"), (256, "OW")])
def test_a_table_of_one_entry_is_a_number(entries, vr):
    descriptor = struct.pack("<3H", entries, 0, 16)
    after = rewritten(implicit(0x00283002, descriptor) + implicit(0x00283006, b"\1\0"), _IMPLICIT)
    assert after.endswith(element(0x00283006, vr, b"\1\0"))


def test_private_elements_without_a_vr_are_unknown_and_their_creators_text():
    data = implicit(0x00090010, b"US") + implicit(0x00091001, b"explicit")
    assert rewritten(data, _IMPLICIT) == element(0x00090010, "LO", b"US") + element(
        0x00091001, "UN", b"explicit"
    )


def test_what_is_too_long_for_its_vr_becomes_unknown():
    value = b"1.5\\" * 20_000
    after = rewritten(implicit(0x30060050, value), _IMPLICIT)
    assert after == element(0x30060050, "UN", value)
    longest = bytes(0xFFFE)
    assert rewritten(implicit(0x30060050, longest), _IMPLICIT) == element(0x30060050, "DS", longest)


def test_group_lengths_go_at_every_depth():
    inner = element(0x00080000, "UL", bytes(4)) + element(0x00080100, "SH", b"AB")
    data = element(0x00080000, "UL", bytes(4)) + sequence(0x00081032, [inner])
    assert rewritten(data, _LE, _IMPLICIT) == (
        implicit(0x00081032, OPEN_ITEM, 0xFFFFFFFF)
        + implicit(0x00080100, b"AB")
        + CLOSE_ITEM
        + CLOSE_SEQUENCE
    )


def test_unknown_of_undefined_length_is_an_implicit_sequence():
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + implicit(0x00080100, b"AB") + CLOSE_ITEM
    data = struct.pack("<HH2sHI", 9, 0x1001, b"UN", 0, 0xFFFFFFFF) + item + CLOSE_SEQUENCE
    after = rewritten(data, _LE)
    assert after[4:6] == b"SQ"
    assert element(0x00080100, "SH", b"AB") in after


def _deep(depth):
    data = element(0x00080100, "SH", b"AB")
    for _ in range(depth):
        data = sequence(0x00081032, [data])
    return data


def test_depth_is_bounded():
    assert rewritten(_deep(60), _LE, _IMPLICIT).count(CLOSE_SEQUENCE) == 60
    with pytest.raises(WalkError, match="nested deeper"):
        rewritten(_deep(1000), _LE, _IMPLICIT)


@pytest.mark.parametrize(
    "data",
    [
        element(0x00080100, "SH", b"AB")[:-1],
        element(0x00080100, "SH", b"AB") + b"\0",
        struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, 0xFFFFFFF0) + b"few",
        struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + CLOSE_SEQUENCE,
        struct.pack("<HH2sHI", 8, 0x1032, b"SQ", 0, 0xFFFFFFFF) + OPEN_ITEM,
        struct.pack("<HH2sHI", 8, 0x1032, b"SQ", 0, 12)
        + struct.pack("<HHI", 0xFFFE, 0xE000, 100)
        + bytes(200),
        struct.pack("<HH2sHI", 8, 0x1032, b"SQ", 0, 16) + b"sixteen bytes of" + b"more",
        OPEN_ITEM,
    ],
)
def test_what_does_not_parse_is_refused(data):
    with pytest.raises(WalkError):
        rewritten(data, _LE, _IMPLICIT)


def test_delimiters_that_end_nothing_are_left_out():
    one, other = element(0x00080100, "SH", b"AB"), element(0x00200010, "SH", b"CD")
    ends = CLOSE_ITEM + CLOSE_SEQUENCE
    assert rewritten(ends + one + ends + other + ends, _LE) == one + other
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(one + ends)) + one + ends
    held = struct.pack("<HH2sHI", 8, 0x1032, b"SQ", 0, len(item)) + item
    assert rewritten(held, _LE) == rewritten(sequence(0x00081032, [one]), _LE)


def _native(syntax, data):
    return Lying(syntax, data)


def test_a_fault_at_the_end_is_found_before_the_first_piece():
    transcoder = GatewayTranscoder()
    data = element(0x7FE00010, "OW", bytes(1 << 20)) + b"\0\0\0"
    with pytest.raises(WalkError):
        next(transcoder.convert(_native(EXPLICIT_LITTLE_ENDIAN, data), IMPLICIT_LITTLE_ENDIAN))


def test_pixels_that_are_cut_are_not_begun_however_large_they_are():
    transcoder = GatewayTranscoder(Limits(held_bytes=1 << 10))
    cut = element(0x00080100, "SH", b"AB") + element(0x7FE00010, "OW", bytes(1 << 20))[:-2]
    with pytest.raises(WalkError, match="passes the end"):
        next(
            transcoder.convert(
                replace(_native(EXPLICIT_LITTLE_ENDIAN, cut), length=len(cut)), IMPLICIT_LITTLE_ENDIAN
            )
        )


def test_large_pixels_stream():
    transcoder = GatewayTranscoder(Limits(held_bytes=1 << 20))
    taken = []

    class Endless(Lying):
        def open(self):
            yield struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, 1 << 30)
            for number in range(1 << 14):
                taken.append(number)
                yield bytes(1 << 16)

    pieces = transcoder.convert(Endless(EXPLICIT_LITTLE_ENDIAN, b""), IMPLICIT_LITTLE_ENDIAN)
    next(pieces)
    assert len(taken) < 64  # 4 of 1,024 MiB
    pieces.close()


def test_a_deflate_bomb_is_refused_and_a_deflated_data_set_is_not():
    transcoder = GatewayTranscoder(Limits(inflated_bytes=1 << 20))
    deflated = "1.2.840.10008.1.2.1.99"
    small = element(0x00080100, "SH", b"AB")
    squeezed = zlib.compress(small, wbits=-15) + b"\0"
    assert b"".join(transcoder.convert(_native(deflated, squeezed), EXPLICIT_LITTLE_ENDIAN)) == small
    bomb = zlib.compress(element(0x7FE00010, "OW", bytes(2 << 20)), wbits=-15)
    with pytest.raises(WalkError, match="inflates beyond"):
        next(transcoder.convert(_native(deflated, bomb), EXPLICIT_LITTLE_ENDIAN))
    with pytest.raises(WalkError):
        next(transcoder.convert(_native(deflated, squeezed[:-3]), EXPLICIT_LITTLE_ENDIAN))


def test_deflated_pixels_are_no_more_than_the_image_that_is_described():
    transcoder = GatewayTranscoder(Limits(header_bytes=1 << 20))
    deflated = "1.2.840.10008.1.2.1.99"
    image = element(0x00280010, "US", b"\0\x04") + element(0x00280011, "US", b"\0\x08")
    image += element(0x00280100, "US", b"\x10\0")  # 1024 x 2048 x 16 bits
    whole = image + element(0x7FE00010, "OW", bytes(4 << 20))
    squeezed = zlib.compress(whole, wbits=-15)
    assert b"".join(transcoder.convert(_native(deflated, squeezed), EXPLICIT_LITTLE_ENDIAN)) == whole
    bomb = zlib.compress(image + element(0x7FE00010, "OW", bytes(32 << 20)), wbits=-15)
    with pytest.raises(WalkError, match="inflates beyond"):
        list(transcoder.convert(_native(deflated, bomb), EXPLICIT_LITTLE_ENDIAN))


@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2.4.100",
        "1.2.840.10008.1.2.4.102",
        "1.2.840.10008.1.2.4.107",
        "1.2.840.10008.1.2.4.92",
        "1.2.840.10008.1.2.4.94",
        "1.2.840.10008.1.2.7.1",
        "1.2.840.113619.5.2",
        "",
    ],
)
def test_what_we_do_not_know_has_no_targets(syntax):
    transcoder = GatewayTranscoder()
    assert not transcoder.targets("1.2.840.10008.5.1.4.1.1.2", syntax)
    with pytest.raises(TranscodeError):
        next(transcoder.convert(_native(syntax, b""), EXPLICIT_LITTLE_ENDIAN))


def test_what_we_know_goes_to_native_little_endian_explicit_first():
    transcoder = GatewayTranscoder()
    both = [EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN]
    for syntax in (*CODECS, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"):
        assert list(transcoder.targets("", syntax)) == both
    assert list(transcoder.targets("", IMPLICIT_LITTLE_ENDIAN)) == both[:1]
    assert list(transcoder.targets("", EXPLICIT_LITTLE_ENDIAN)) == both[1:]
