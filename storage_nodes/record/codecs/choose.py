"""Which codec a payload gets: the smallest that gave it back (FORMAT.md "Why these codecs")."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from storage_nodes.record.codecs import htj2k, zstd
from storage_nodes.record.codecs.library import imagecodecs
from storage_nodes.record.errors import DamagedRecordError
from storage_nodes.record.limits import KIB, inflation_is_sane
from storage_nodes.record.values import Buffer, Codec, FrameLayout

log = structlog.get_logger(__name__)

SERVABLE: Final = 1
RPCL: Final = 2
COLOUR_TRANSFORM: Final = 4
ALL_FLAGS: Final = SERVABLE | RPCL | COLOUR_TRANSFORM

_TRY_BOTH_BYTES: Final = KIB
"""Up to here the fixed cost of a codestream counts, and trying zstd costs microseconds."""
_PROBE_BYTES: Final = 16 * KIB
_PROBE_STRIPES: Final = 4
_HOPE: Final = 1.3
"""What the slow level may yet gain. Of 225 frames of every kind 32 were tried and one missed, by 1 %."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A payload as it will lie in `frames`, and what the index says of it."""

    codec: Codec
    flags: int
    body: Buffer = field(repr=False)
    sha256: bytes
    decoded_bytes: int
    decoded_crc32: int


def crc32(data: Buffer, value: int = 0) -> int:
    """Compute the CRC-32 of ZIP and PNG; six times as fast here as in the standard library."""
    result: int = imagecodecs().deflate_crc32(data, value)
    return result


def code_fragment(fragment: Buffer) -> Coded:
    """Take a fragment as it lies."""
    return _as_it_lies(fragment)


def code_frame(frame: Buffer, layout: FrameLayout | None) -> Coded:
    """Encode a native frame, decode it, compare, and give the smallest form that held.

    A codec that fails or gives other bytes is passed over: `raw` always remains.
    """
    best = _as_htj2k(frame, layout) if layout is not None else None
    size = len(frame) if best is None else len(best.body)
    if (best is None or _zstd_may_beat(frame, size)) and (rival := _as_zstd(frame)) is not None:
        best = rival if len(rival.body) < size else best
    if best is None or len(best.body) >= len(frame):
        return _as_it_lies(frame)
    return best


def _as_it_lies(payload: Buffer) -> Coded:
    return Coded(Codec.RAW, 0, payload, hashlib.sha256(payload).digest(), len(payload), 0)


def _as_htj2k(frame: Buffer, layout: FrameLayout) -> Coded | None:
    encoding = htj2k.encoding_for(layout, len(frame))
    if encoding is None:
        return None
    image = htj2k.pixels(frame, layout)
    try:
        codestream = htj2k.encode(image, encoding)
        decoded = htj2k.decode(codestream, layout)
    except (RuntimeError, ValueError) as failure:
        log.warning("frame_codec_failed", codec="htj2k", kind=type(failure).__name__, frame_bytes=len(frame))
        return None
    if not np.array_equal(image, decoded):
        log.warning("frame_codec_not_exact", codec="htj2k", frame_bytes=len(frame))
        return None
    flags = 0
    if htj2k.is_servable(image, layout):
        flags = SERVABLE | (RPCL if encoding.rpcl else 0)
    if encoding.colour_transform:
        flags |= COLOUR_TRANSFORM
    return _coded(Codec.HTJ2K, flags, codestream, frame)


def _as_zstd(frame: Buffer) -> Coded | None:
    packed = zstd.compress(frame)
    if len(packed) >= len(frame):
        return None
    try:
        exact = np.array_equal(_octets(zstd.decompress(packed, len(frame))), _octets(frame))
    except DamagedRecordError:
        exact = False
    if not exact:
        log.warning("frame_codec_not_exact", codec="zstd", frame_bytes=len(frame))
        return None
    return _coded(Codec.ZSTD, 0, packed, frame)


def _coded(codec: Codec, flags: int, body: bytes, frame: Buffer) -> Coded | None:
    if not inflation_is_sane(len(frame), len(body)):
        return None
    return Coded(codec, flags, body, hashlib.sha256(body).digest(), len(frame), crc32(frame))


def _zstd_may_beat(frame: Buffer, size: int) -> bool:
    """Guess from stripes of the frame, packed fast, whether zstd would take less than `size` bytes."""
    if len(frame) <= _TRY_BOTH_BYTES:
        return True
    probe = frame if len(frame) <= _PROBE_BYTES else _stripes(memoryview(frame))
    guess = len(zstd.compress(probe, zstd.PROBE_LEVEL)) * len(frame) / len(probe)
    return guess < size * _HOPE


def _stripes(frame: memoryview) -> bytes:
    length = _PROBE_BYTES // _PROBE_STRIPES
    step = (len(frame) - length) // (_PROBE_STRIPES - 1)
    return b"".join(frame[at * step : at * step + length] for at in range(_PROBE_STRIPES))


def _octets(data: Buffer) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)
