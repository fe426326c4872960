"""Renderers as processes: frames, aspects, encodings, and what bad input does to them."""

import struct
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest

from deid.elements import WalkError
from deid.encode import element, sequence
from dgis.rendering.errors import NoFrameError, NoPictureError
from dgis.rendering.frames import read_frame
from dgis.rendering.renderer import LIMITS, Renderer
from dgis.rendering.view import MediaType, Region, Request, View, Window
from dgis.transcode.errors import TranscodeError
from tests.tools.transcoding import Lying
from tests.unit.dgis.rendering.frames import PATIENT, ds, native, shown
from tests.unit.dgis.transcode.images import EXPLICIT, JPEG_2000, JPEG_LS, RLE, image

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def test_a_request_reads_back_as_it_was_written():
    view = View(MediaType.PNG, 7, 3, 4, Region(1, 2, 3.5, None), True, False, Window(1.5, 2))
    request = Request(view, 3, 77, "rle", 5)
    assert Request.from_json(request.to_json()) == request


def test_jpeg_is_near_and_obeys_its_quality(renderer):
    instance = native(np.random.default_rng(2).integers(0, 256, (64, 64)).astype(np.uint8))
    good, bad = (renderer.render(instance, 1, View(quality=quality)).data for quality in (95, 5))
    assert imagecodecs.jpeg8_check(good)
    assert len(bad) < len(good) / 2
    assert imagecodecs.jpeg8_decode(good).shape == (64, 64)


@pytest.mark.parametrize(
    "said",
    [
        element(0x00280034, "IS", b"2\\1"),
        ds(0x00280030, "1.0\\0.5"),
        sequence(0x52009229, [sequence(0x00289110, [ds(0x00280030, "0.8\\0.4")])]),
    ],
)
def test_pixels_that_are_not_square_are_shown_square(renderer, said):
    assert shown(renderer, native(RAMP, after=said)).shape == (12, 8)


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, JPEG_2000])
def test_frames_of_other_syntaxes(renderer, syntax):
    frames = [RAMP, RAMP[::-1], RAMP // 2]
    encode = {
        RLE: lambda each: struct.pack("<16I", 1, 64, *[0] * 14) + imagecodecs.packbits_encode(each),
        JPEG_LS: lambda each: imagecodecs.jpegls_encode(np.ascontiguousarray(each)),
        JPEG_2000: lambda each: imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(each), level=0, codecformat="j2k"
        ),
    }[syntax]
    instance = image(syntax, [bytes(encode(each)) for each in frames], RAMP.shape, frames=3)
    for number, frame in enumerate(frames, 1):
        assert (shown(renderer, instance, frame=number) == frame).all()


def test_a_native_frame_is_taken_without_those_behind_it(renderer):
    frames = np.stack([RAMP, RAMP[::-1], RAMP // 2])
    instance = native(frames, frames=3)
    for number in (1, 2, 3):
        assert (shown(renderer, instance, frame=number) == frames[number - 1]).all()


@pytest.mark.parametrize("number", [0, 4, 10**9])
def test_a_frame_that_is_not_there(renderer, number):
    with pytest.raises(NoFrameError):
        renderer.render(native(np.stack([RAMP] * 3), frames=3), number, View())


def test_an_instance_without_pixels(renderer):
    with pytest.raises(NoFrameError):
        renderer.render(Lying(EXPLICIT, element(0x00080018, "UI", b"2.25.7")), 1, View())


def test_video_is_not_taken_apart(renderer):
    with pytest.raises(NoPictureError, match="transfer syntax"):
        renderer.render(image("1.2.840.10008.1.2.4.102", [b"xx"], (4, 4)), 1, View())


BAD = {
    "rows beyond what is there": native(RAMP, packed=b"\0" * 8),
    "an impossible cell": native(RAMP, bits=200),
    "cut before its end": Lying(EXPLICIT, native(RAMP).data[:-9]),
    "noise": Lying(EXPLICIT, bytes(range(256)) * 40),
    "a stream of noise": image(JPEG_LS, [b"\xff\xd8" + bytes(range(256))], (6, 8)),
    "a stream that is cut": image(JPEG_LS, [bytes(imagecodecs.jpegls_encode(RAMP))[:-20]], (6, 8)),
    "an image of another size": image(JPEG_LS, [bytes(imagecodecs.jpegls_encode(RAMP))], (600, 800)),
    "a table that is cut": native(
        RAMP,
        after=sequence(
            0x00283010,
            [element(0x00283002, "US", struct.pack("<HHH", 0, 0, 16)) + element(0x00283006, "OW", b"\0\0")],
        ),
    ),
    "an image that would be huge": image(JPEG_LS, [b"\xff\xd8"], (65535, 65535), bits=16),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_words_and_the_next_is_served(renderer, case):
    with pytest.raises((TranscodeError, WalkError)):
        renderer.render(BAD[case], 1, View())
    assert (shown(renderer, native(RAMP)) == RAMP).all()


def test_a_bomb_ends_its_own_process_only():
    side = 6000
    stream = bytes(imagecodecs.jpegls_encode(np.zeros((side, side), np.uint8)))
    tight = Renderer(replace(PATIENT, decoder_memory_bytes=250 << 20), most=1)
    try:
        with pytest.raises(TranscodeError):
            tight.render(image(JPEG_LS, [stream], (side, side)), 1, View())
        assert (shown(tight, native(RAMP)) == RAMP).all()
    finally:
        tight.close()


def test_a_header_that_says_too_much_is_refused():
    small = Renderer(replace(PATIENT, header_bytes=2000), most=1)
    with pytest.raises(NoPictureError, match="more is said"):
        small.render(native(RAMP, after=element(0x00283006, "OW", b"\0" * 4000)), 1, View())
    small.close()


def test_names_of_patients_do_not_reach_the_renderer():
    """What the process is given holds elements of the image only."""
    named = element(0x00100010, "PN", b"Kanarienvogel^Zitronengelb")
    frame = read_frame(native(RAMP, before=named), 1, LIMITS)
    assert b"Kanarien" not in frame.header + frame.payload
    assert frame.payload == RAMP.tobytes()
