import imagecodecs
import numpy as np
import pytest

from storage_nodes.record.reader import ServedAs
from storage_nodes.record.values import Codec
from tests.unit.storage_nodes.record.builders import native, of_payloads, reader_of, smooth

HTJ2K = "1.2.840.10008.1.2.4.201"
HTJ2K_RPCL = "1.2.840.10008.1.2.4.202"
COM, TLM = 0xFF64, 0xFF55


def segments(codestream: bytes) -> dict[int, bytes]:
    """The marker segments of a main header (ITU-T T.800 A.2)."""
    found, position = {}, 2
    while (marker := int.from_bytes(codestream[position : position + 2], "big")) != 0xFF90:
        length = int.from_bytes(codestream[position + 2 : position + 4], "big")
        found[marker] = codestream[position + 4 : position + 2 + length]
        position += 2 + length
    return found


def rgb(rows=64, columns=64):
    return np.stack([smooth(rows, columns, "u1", seed) for seed in range(3)], axis=2)


@pytest.mark.parametrize(
    ("frame", "codec"),
    [
        (smooth(128, 128, "<i2"), Codec.HTJ2K),
        (smooth(128, 128, "u1"), Codec.HTJ2K),
        (rgb(), Codec.HTJ2K),
        (smooth(128, 128, "<u4"), Codec.ZSTD),
        (smooth(128, 128, "<f4"), Codec.ZSTD),
        (smooth(128, 128, "<f8"), Codec.ZSTD),
        (np.zeros((8, 8), "u1"), Codec.ZSTD),
        (np.tile(np.arange(128, dtype="u1") % 2 * 255, (128, 1)), Codec.ZSTD),
        (np.random.default_rng(0).integers(0, 256, (128, 128), "u1"), Codec.RAW),
    ],
    ids=["i2", "u1", "rgb", "u4", "f4", "f8", "tiny", "drawing", "noise"],
)
def test_each_kind_of_frame_gets_its_codec(frame, codec):
    reader = reader_of(native(0, frame))
    assert reader.codestream(0, 0).codec is codec
    assert bytes(reader.payload(0, 0)) == frame.tobytes()


def test_frames_without_a_known_or_fitting_layout_are_zstd():
    layout = native(0, smooth(64, 64)).pixel.layout
    for payload, known in ((bytes(1000), None), (bytes(1000), layout)):
        reader = reader_of(of_payloads(0, [payload], known))
        assert reader.codestream(0, 0).codec is Codec.ZSTD
        assert bytes(reader.payload(0, 0)) == payload


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_PARTIAL_420"])
def test_subsampled_frames_are_never_htj2k(photometric):
    whole = reader_of(native(0, rgb(), photometric=photometric))
    assert whole.codestream(0, 0).codec is Codec.ZSTD
    halved = reader_of(of_payloads(0, [rgb().tobytes()[: 64 * 64 * 2]], native(0, rgb()).pixel.layout))
    assert halved.codestream(0, 0).codec is Codec.ZSTD


def test_codestreams_name_no_codec_and_carry_a_tile_length_table_from_256_pixels_on():
    small = reader_of(native(0, smooth(200, 200))).codestream(0, 0)
    large = reader_of(native(0, smooth(256, 200))).codestream(0, 0)
    assert COM not in segments(small.data) | segments(large.data)
    assert TLM not in segments(small.data)
    assert TLM in segments(large.data)
    assert small.served_as == ServedAs(HTJ2K, None)
    assert large.served_as == ServedAs(HTJ2K_RPCL, None)


@pytest.mark.parametrize(("longest", "levels"), [(64, 3), (65, 5), (256, 5), (2048, 5), (2049, 6), (4097, 7)])
def test_decomposition_levels_leave_a_lowest_resolution_of_64(longest, levels):
    image = np.add.outer(np.arange(longest), np.arange(40) * 7).astype("<u2")
    codestream = reader_of(native(0, image)).codestream(0, 0)
    assert codestream.codec is Codec.HTJ2K
    assert segments(codestream.data)[0xFF52][5] == levels  # COD: SGcod is 4 bytes after Scod, then the levels
    assert segments(codestream.data)[0xFF52][1] == 2  # progression order: RPCL


@pytest.mark.parametrize(
    ("photometric", "transformed"), [("RGB", True), ("YBR_FULL", False), ("YBR_ICT", False), ("HSV", False)]
)
def test_only_rgb_is_colour_transformed(photometric, transformed):
    codestream = reader_of(native(0, rgb(), photometric=photometric)).codestream(0, 0)
    assert segments(codestream.data)[0xFF52][4] == transformed  # COD: multiple component transformation
    if photometric == "RGB":
        assert codestream.served_as == ServedAs(HTJ2K, "YBR_RCT")
    elif photometric == "YBR_FULL":
        assert codestream.served_as == ServedAs(HTJ2K, None)
    else:
        assert codestream.served_as is None


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_planes_come_back_as_planes_and_are_served_by_pixel(photometric):
    planes = np.ascontiguousarray(np.moveaxis(rgb(40, 90), 2, 0))
    reader = reader_of(native(0, planes, planar=1, photometric=photometric))
    codestream = reader.codestream(0, 0)
    assert codestream.codec is Codec.HTJ2K
    assert bytes(reader.payload(0, 0)) == planes.tobytes()
    assert np.array_equal(imagecodecs.jpeg2k_decode(codestream.data, planar=False), rgb(40, 90))


@pytest.mark.parametrize(
    ("value", "changes", "servable"),
    [
        (4095, {"bits_stored": 12, "high_bit": 11}, True),
        (4096, {"bits_stored": 12, "high_bit": 11}, False),
        (65535, {}, True),
        (100, {"bits_stored": 12, "high_bit": 15}, False),
        (100, {"bits_stored": 0, "high_bit": 11}, False),
        (100, {"bits_stored": 17, "high_bit": 16}, False),
        (100, {"photometric": "ARGB"}, False),
        (100, {"photometric": "MONOCHROME1"}, True),
        (100, {"photometric": "PALETTE COLOR"}, True),
    ],
)
def test_unsigned_frames_are_servable_where_the_header_tells_the_truth(value, changes, servable):
    frame = smooth(128, 128, "<u2")
    frame[5, 5] = value
    reader = reader_of(native(0, frame, **changes))
    assert reader.codestream(0, 0).codec is Codec.HTJ2K
    assert (reader.codestream(0, 0).served_as is not None) is servable
    assert (reader.served_as(0) is not None) is servable


@pytest.mark.parametrize(
    ("value", "servable"), [(-2048, True), (2047, True), (-2049, False), (2048, False), (4095, False)]
)
def test_signed_frames_are_servable_where_signs_are_extended(value, servable):
    frame = smooth(128, 128, "<i2")
    frame[5, 5] = value
    reader = reader_of(native(0, frame, bits_stored=12, high_bit=11))
    assert (reader.codestream(0, 0).served_as is not None) is servable


@pytest.mark.parametrize(
    ("frame", "photometric", "servable"),
    [
        (smooth(128, 128, "i1"), "MONOCHROME1", True),
        (smooth(128, 128, "i1"), "PALETTE COLOR", False),
        (rgb(128, 128).astype("i1"), "RGB", False),
    ],
)
def test_only_monochrome_frames_are_served_signed(frame, photometric, servable):
    codestream = reader_of(native(0, frame, photometric=photometric)).codestream(0, 0)
    assert codestream.codec is Codec.HTJ2K
    assert (codestream.served_as is not None) is servable


def test_an_instance_is_servable_when_all_its_frames_are():
    good, bad = smooth(128, 128, "<u2"), smooth(128, 128, "<u2")
    bad[0, 0] = 4096
    reader = reader_of(
        native(0, good, good, bits_stored=12, high_bit=11), native(1, good, bad, bits_stored=12, high_bit=11)
    )
    assert reader.served_as(0) == ServedAs(HTJ2K, None)
    assert reader.served_as(1) is None


def test_a_blank_frame_too_large_for_the_inflation_rule_is_not_written_as_a_bomb(monkeypatch):
    monkeypatch.setattr("storage_nodes.record.limits._FREE_INFLATION_BYTES", 1 << 16)
    monkeypatch.setattr("storage_nodes.record.limits._INFLATION_RATIO", 4)
    blank = np.zeros((512, 512), "<f4")
    reader = reader_of(native(0, blank))
    assert reader.codestream(0, 0).codec is Codec.RAW
    assert bytes(reader.payload(0, 0)) == blank.tobytes()


def test_frames_above_64_mib_are_left_to_zstd(monkeypatch):
    monkeypatch.setattr("storage_nodes.record.codecs.htj2k.MOST_HTJ2K_FRAME_BYTES", 1 << 14)
    reader = reader_of(native(0, smooth(128, 128, "<i2")))
    assert reader.codestream(0, 0).codec is Codec.ZSTD
