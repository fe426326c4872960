import struct
import zlib

import imagecodecs
import numpy as np
import pytest

from deid.encode import element
from dgis.transcode.errors import DamagedPixelsError, TranscodeError
from tests.tools.transcoding import read
from tests.unit.dgis.transcode.images import (
    DEFLATED_FRAME,
    EXPLICIT,
    HTJ2K,
    IMPLICIT,
    JPEG,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LS,
    RLE,
    description,
    encapsulated,
    image,
    nested,
    us,
)

_RNG = np.random.default_rng(5)
_GREY = np.add.outer(np.arange(37), 3 * np.arange(21)).astype(np.uint8)
_COLOUR = np.stack([_GREY, _GREY[::-1], np.full_like(_GREY, 200)], axis=2)


def explicit(transcoder, instance):
    return read(b"".join(transcoder.convert(instance, EXPLICIT)), EXPLICIT)


def jpeg(samples, **options):
    return bytes(imagecodecs.jpeg8_encode(samples, level=95, **options))


def without_jfif(stream):
    """A JPEG stream that does not say which colours it holds."""
    assert stream[2:4] == b"\xff\xe0"
    return stream[:2] + stream[4 + int.from_bytes(stream[4:6], "big") :]


def app14(stream, transform, *, jfif=False):
    flag = b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0" + bytes([transform])
    return stream[:2] + (jpeg(_COLOUR)[2:20] if jfif else b"") + flag + stream[2:]


def rle(samples):
    """PS3.5 Annex G, literal runs only: one segment for each byte of each sample."""
    planes = samples.reshape(-1, samples.shape[2] if samples.ndim == 3 else 1)
    width = samples.itemsize
    segments = []
    for plane in planes.T:
        cells = plane.astype(f">u{width}").view(np.uint8).reshape(-1, width)
        for raw in (column.tobytes() for column in cells.T):
            runs = (raw[start : start + 128] for start in range(0, len(raw), 128))
            packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
            segments.append(packed + b"\0" * (len(packed) % 2))
    starts = np.cumsum([64, *map(len, segments)])[: len(segments)].tolist()
    return struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(segments))) + b"".join(segments)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (RLE, rle),
        (JPEG_LOSSLESS, lambda a: bytes(imagecodecs.jpeg8_encode(a, lossless=True))),
        (JPEG_LS, lambda a: bytes(imagecodecs.jpegls_encode(a))),
        (JPEG_2000, lambda a: bytes(imagecodecs.jpeg2k_encode(a, level=0, codecformat="j2k"))),
        (HTJ2K, lambda a: bytes(imagecodecs.htj2k_encode(a))),
    ],
)
@pytest.mark.parametrize(
    "samples", [_GREY, _GREY.astype(np.uint16) * 257, _COLOUR], ids=["8", "16", "colour"]
)
def test_lossless_codecs_give_the_pixels_back(transcoder, syntax, encode, samples):
    if syntax == JPEG_LOSSLESS and samples.ndim == 3:
        pytest.skip("the encoder at hand would transform colours")
    colour = {"photometric": "RGB", "planar": 1} if samples.ndim == 3 else {}
    instance = image(syntax, [encode(samples)], samples.shape, bits=8 * samples.itemsize, **colour)
    after = explicit(transcoder, instance)
    np.testing.assert_array_equal(after.pixel_array, samples)
    assert after.get("PlanarConfiguration", 0) == 0
    assert ("OW" if samples.itemsize > 1 else "OB") == after["PixelData"].VR
    implicit = read(b"".join(transcoder.convert(instance, IMPLICIT)), IMPLICIT)
    np.testing.assert_array_equal(implicit.pixel_array, samples)


def test_a_run_length_frame_may_be_padded_with_a_space(transcoder):
    samples = np.arange(6, dtype=np.uint8).reshape(2, 3)
    frame = rle(samples)[:-1]
    assert len(frame) % 2
    after = explicit(transcoder, image(RLE, [frame + b" "], samples.shape))
    np.testing.assert_array_equal(after.pixel_array, samples)
    with pytest.raises(DamagedPixelsError):
        explicit(transcoder, image(RLE, [frame[:-4] + b" "], samples.shape))


def test_jpeg_2000_transforms_are_undone_and_said_to_be(transcoder):
    stream = bytes(imagecodecs.jpeg2k_encode(_COLOUR, level=0, codecformat="j2k", mct=True))
    after = explicit(transcoder, image(JPEG_2000, [stream], _COLOUR.shape, photometric="YBR_RCT", planar=0))
    assert after.PhotometricInterpretation == "RGB"
    np.testing.assert_array_equal(after.pixel_array, _COLOUR)


def test_a_codestream_in_boxes_is_taken_out_of_them(transcoder):
    boxed = bytes(imagecodecs.jpeg2k_encode(_GREY, level=0, codecformat="jp2"))
    assert boxed.startswith(b"\0\0\0\x0cjP")
    np.testing.assert_array_equal(
        explicit(transcoder, image(JPEG_2000, [boxed], _GREY.shape)).pixel_array, _GREY
    )


_YBR = without_jfif(jpeg(_COLOUR))
_RGB = jpeg(_COLOUR, colorspace="RGB", outcolorspace="RGB")


@pytest.mark.parametrize(
    ("stream", "photometric", "expected"),
    [
        (_YBR, "YBR_FULL_422", "RGB"),
        (jpeg(_COLOUR), "YBR_FULL_422", "RGB"),
        (_YBR, "YBR_FULL", "YBR_FULL"),
        (app14(_YBR, 1), "YBR_FULL", "YBR_FULL"),
        (_RGB, "RGB", "RGB"),
        (app14(_YBR, 1), "RGB", "RGB"),  # the header lies: Adobe's flag says that it was transformed
        (jpeg(_COLOUR), "RGB", "RGB"),  # and here JFIF says so
        (app14(_RGB, 0, jfif=True), "RGB", "RGB"),  # here Adobe's flag knows better
        (_YBR[:2] + b"\xff\xee\0\x0cAdobe" + bytes(5) + _YBR[2:], "YBR_FULL_422", "RGB"),  # cut: no flag
    ],
)
def test_colour_comes_out_as_the_header_then_says(transcoder, stream, photometric, expected):
    after = explicit(transcoder, image(JPEG, [stream], _COLOUR.shape, photometric=photometric, planar=0))
    assert after.PhotometricInterpretation == expected
    # pydicom would convert: this is what lies in the element.
    colours = np.frombuffer(after.PixelData, np.uint8)[: _COLOUR.size].reshape(_COLOUR.shape).astype(int)
    if expected == "YBR_FULL":
        luma = _COLOUR @ np.array([0.299, 0.587, 0.114])  # PS3.3 C.7.6.3.1.2
        assert np.abs(colours[..., 0] - luma).mean() < 3
    else:
        assert np.abs(colours - _COLOUR).mean() < 6


def test_untransformed_components_are_not_touched(transcoder):
    untold = _RGB.replace(b"Adobe", b"Nobod")  # no flag that a decoder would heed
    for at, name in zip((0, 1, 2), b"RGB", strict=True):
        untold = untold.replace(bytes([name, 0x11, 0]), bytes([at + 1, 0x11, 0]))
        untold = untold.replace(bytes([name, 0x00]), bytes([at + 1, 0x00]))
    after = explicit(transcoder, image(JPEG, [untold], _COLOUR.shape, photometric="RGB", planar=0))
    assert np.abs(after.pixel_array.astype(int) - _COLOUR).mean() < 6


def test_twelve_bits_stay_in_cells_of_sixteen(transcoder):
    samples = (_GREY.astype(np.uint16) * 16) & 0xFFF
    stream = bytes(imagecodecs.jpeg8_encode(samples, level=100, bitspersample=12))
    after = explicit(transcoder, image("1.2.840.10008.1.2.4.51", [stream], samples.shape, bits=16, stored=12))
    assert np.abs(after.pixel_array.astype(int) - samples).max() < 200
    assert after.pixel_array.dtype == np.uint16


def test_signed_pixels_keep_their_sign(transcoder):
    samples = _GREY.astype(np.int16) * 20 - 1000
    unsigned = (samples & 0x1FFF).astype(np.uint16)
    stream = bytes(imagecodecs.jpegls_encode(unsigned))
    instance = image(JPEG_LS, [stream], samples.shape, bits=16, stored=13, signed=True)
    assert inspect_precision(stream) in {13, 16}
    after = explicit(transcoder, instance)
    stored = after.pixel_array.astype(np.int32) << 19 >> 19  # only the stored bits count
    np.testing.assert_array_equal(stored, samples)


def inspect_precision(stream):
    at = stream.index(b"\xff\xf7")
    return stream[at + 4]


def test_frames_are_found_among_fragments(transcoder):
    frames = [_GREY, _GREY.T.copy().reshape(_GREY.shape), _GREY[::-1].copy()]
    streams = [bytes(imagecodecs.jpeg2k_encode(each, level=0, codecformat="j2k")) for each in frames]
    pieces = [
        stream[start : start + 100]
        for stream in (each + b"\0" * (len(each) % 2) for each in streams)
        for start in range(0, len(stream), 100)
    ]
    assert len(pieces) > len(frames)
    after = explicit(transcoder, image(JPEG_2000, pieces, _GREY.shape, frames=3))
    np.testing.assert_array_equal(after.pixel_array, np.stack(frames))
    with pytest.raises(DamagedPixelsError):
        explicit(transcoder, image(JPEG_2000, pieces, _GREY.shape, frames=4))
    with pytest.raises(DamagedPixelsError):
        explicit(transcoder, image(JPEG_2000, pieces, _GREY.shape, frames=2))


def deflated(samples):
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(samples.tobytes()) + deflater.flush()


@pytest.mark.parametrize(("syntax", "encode"), [(DEFLATED_FRAME, deflated), (RLE, rle)])
def test_bits_of_frames_do_not_pause_at_bytes(transcoder, syntax, encode):
    frames = _RNG.integers(0, 2, (3, 5, 5), np.uint8)
    streams = [encode(np.packbits(each, bitorder="little")) for each in frames]
    after = explicit(transcoder, image(syntax, streams, (5, 5), bits=1, frames=3))
    bits = np.unpackbits(np.frombuffer(after.PixelData, np.uint8), bitorder="little")
    np.testing.assert_array_equal(bits[:75], frames.reshape(-1))


def test_offset_tables_go_and_everything_else_stays(transcoder):
    tables = b"".join(element(tag, "OV", bytes(8)) for tag in (0x7FE00001, 0x7FE00002, 0x7FE00003))
    lossy = element(0x00282110, "CS", b"01")
    padding = element(0xFFFCFFFC, "OB", b"\0\0")
    instance = image(RLE, [rle(_GREY)], _GREY.shape, tables=lossy + tables, after=padding)
    after = explicit(transcoder, instance)
    assert not {0x7FE00001, 0x7FE00002, 0x7FE00003} & set(after.keys())
    assert after.LossyImageCompression == "01"
    assert after.SOPInstanceUID == "2.25.7"
    assert 0xFFFCFFFC in after
    assert len(after.PixelData) == _GREY.size + 1  # odd: padded


def test_icons_are_decoded_where_they_are(transcoder):
    icon = description((37, 21)) + encapsulated(rle(_GREY))
    before = nested(0x00080096, us(0x00080301, 3))
    instance = image(RLE, [rle(_GREY)], _GREY.shape, before=before, tables=nested(0x00880200, icon))
    after = explicit(transcoder, instance)
    found = after.IconImageSequence[0]
    assert found.PixelData[: _GREY.size] == _GREY.tobytes()
    np.testing.assert_array_equal(after.pixel_array, _GREY)


@pytest.mark.parametrize(
    ("instance", "error"),
    [
        (image(RLE, [rle(_GREY)], (37, 20)), DamagedPixelsError),
        (image(RLE, [rle(_GREY)], (37, 21), bits=16), DamagedPixelsError),
        (image(JPEG_2000, [b"\xff\x4f\xff\x51" + b"\0" * 8], (37, 21)), DamagedPixelsError),
        (image(JPEG, [_YBR], (37, 22, 3), photometric="YBR_FULL_422"), DamagedPixelsError),
        (image(JPEG, [_YBR], (37, 21), photometric="MONOCHROME2"), DamagedPixelsError),
        (image(JPEG, [_YBR[:-200]], (37, 21, 3), photometric="YBR_FULL_422"), DamagedPixelsError),
        (image(JPEG, [], (37, 21)), DamagedPixelsError),
        (image(DEFLATED_FRAME, [zlib.compress(bytes(1 << 20), wbits=-15)], (37, 21)), DamagedPixelsError),
        (image(JPEG_2000, [b""], (60_000, 60_000), bits=16), TranscodeError),
        (image(JPEG, [_YBR], (37, 21, 3), photometric="RGB", frames=2_000_000), TranscodeError),
        (image(RLE, [rle(_GREY)], (0, 21)), TranscodeError),
    ],
    ids=range(11),
)
def test_what_lies_about_itself_fails_before_the_first_piece(transcoder, instance, error):
    with pytest.raises(error):
        next(transcoder.convert(instance, EXPLICIT))


def test_damaged_htj2k_is_not_taken_for_pixels(transcoder):
    stream = bytes(imagecodecs.htj2k_encode(_RNG.integers(0, 256, (64, 64), np.uint8)))
    broken = bytearray(stream)
    broken[-8:-2] = b"\xff" * 6  # the lengths of the last code-block's passes stand there
    for damaged in (stream[: len(stream) // 2], stream[:-40], bytes(broken)):
        with pytest.raises(DamagedPixelsError):
            next(transcoder.convert(image(HTJ2K, [damaged], (64, 64)), EXPLICIT))
