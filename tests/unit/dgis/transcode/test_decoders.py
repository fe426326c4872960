import os
import signal
import threading
import time

import imagecodecs
import numpy as np
import pytest

from dgis.transcode.errors import DamagedPixelsError, DecoderFailedError
from dgis.transcode.job import Job
from dgis.transcode.limits import Limits
from dgis.transcode.pool import Pool
from dgis.transcode.syntaxes import Codec
from dgis.transcode.transcoder import GatewayTranscoder
from tests.unit.dgis.transcode.images import EXPLICIT, JPEG_2000, image

_SAMPLES = np.arange(30, dtype=np.uint8).reshape(5, 6)
_STREAM = bytes(imagecodecs.jpegls_encode(_SAMPLES))
_JOB = Job(Codec.JPEG_LS, 5, 6, 1, 8, 8, signed=False, photometric="MONOCHROME2")


def _deadline(seconds=60):
    return time.monotonic() + seconds


def _decode(pool, job=_JOB, stream=_STREAM):
    with pool.lend(_deadline()) as decoder:
        return decoder.process_id, b"".join(decoder.decode(job, stream, _deadline()))


@pytest.fixture
def pool():
    made = Pool(Limits(frame_seconds=1.0), most=1)
    yield made
    made.close()


def test_a_decoder_serves_frame_after_frame_and_survives_damage(pool):
    first, frame = _decode(pool)
    assert frame == _SAMPLES.tobytes()
    with pytest.raises(DamagedPixelsError):
        _decode(pool, stream=_STREAM[:-20])
    again, frame = _decode(pool)
    assert (again, frame) == (first, _SAMPLES.tobytes())


def test_a_decoder_that_hangs_is_killed_and_replaced(pool):
    first, _ = _decode(pool)
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(DecoderFailedError, match="no frame within 1 s"):
        _decode(pool)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    again, frame = _decode(pool)
    assert again != first
    assert frame == _SAMPLES.tobytes()


def test_a_decoder_that_dies_is_replaced(pool):
    first, _ = _decode(pool)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(DecoderFailedError):
        _decode(pool)
    assert _decode(pool)[1] == _SAMPLES.tobytes()


def test_a_frame_left_half_read_costs_the_decoder(pool):
    with pool.lend(_deadline()) as decoder:
        next(decoder.decode(_JOB, _STREAM, _deadline()))
        left = decoder.process_id
    assert _decode(pool)[0] != left


def test_nobody_waits_longer_than_he_may(pool):
    with pool.lend(_deadline()), pytest.raises(DecoderFailedError), pool.lend(_deadline(0.05)):
        pytest.fail("there was one decoder, and it was lent")


def test_a_decoder_cannot_take_more_memory_than_allowed():
    side = 6000
    stream = bytes(imagecodecs.jpeg2k_encode(np.zeros((side, side), np.uint8), level=0, codecformat="j2k"))
    transcoder = GatewayTranscoder(Limits(decoder_memory_bytes=200 << 20), decoders=1)
    bomb = image(JPEG_2000, [stream], (side, side))
    small = bytes(imagecodecs.jpeg2k_encode(_SAMPLES, level=0, codecformat="j2k"))
    with pytest.raises((DamagedPixelsError, DecoderFailedError)):
        next(transcoder.convert(bomb, EXPLICIT))
    assert _SAMPLES.tobytes() in b"".join(transcoder.convert(image(JPEG_2000, [small], (5, 6)), EXPLICIT))
    transcoder.close()


def test_many_threads_share_few_decoders():
    pool = Pool(Limits(), most=2)
    seen, frames = set(), []

    def work():
        for _ in range(10):
            process, frame = _decode(pool)
            seen.add(process)
            frames.append(frame)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert frames == [_SAMPLES.tobytes()] * 60
    assert 1 <= len(seen) <= 2
    pool.close()
    for process in seen:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_an_abandoned_conversion_leaves_nothing_behind():
    transcoder = GatewayTranscoder(Limits(held_bytes=10), decoders=1)
    small = bytes(imagecodecs.jpeg2k_encode(_SAMPLES, level=0, codecformat="j2k"))
    pieces = transcoder.convert(image(JPEG_2000, [small], (5, 6)), EXPLICIT)
    assert next(pieces)
    pieces.close()
    assert b"".join(transcoder.convert(image(JPEG_2000, [small], (5, 6)), EXPLICIT))
    transcoder.close()
