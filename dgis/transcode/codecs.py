"""Codestreams to native frames; runs in the decoding process only."""

import sys
import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dgis.transcode.codestream import Image, bare_codestream, inspect, require, require_whole
from dgis.transcode.errors import DamagedPixelsError
from dgis.transcode.job import Job
from dgis.transcode.syntaxes import Codec

Samples = NDArray[Any]

_jpeg_decode: Callable[..., Samples] = imagecodecs.jpeg8_decode
_jpeg_ls_decode: Callable[..., Samples] = imagecodecs.jpegls_decode
_jpeg_2000_decode: Callable[..., Samples] = imagecodecs.jpeg2k_decode
_htj2k_decode: Callable[..., Samples] = imagecodecs.htj2k_decode
_rle_decode: Callable[..., bytes | bytearray] = imagecodecs.dicomrle_decode

_COLOURS = 3
_RLE_HEADER_BYTES = 64  # PS3.5 G.5: sixteen words
_RGB_NAMES = b"RGB"


def decode(job: Job, stream: bytes) -> bytes:
    """Return a native frame, little endian, colour by pixel, exactly `job.frame_bytes` long.

    Raises:
        DamagedPixelsError: the codestream is damaged, or not what the job says.
        Exception: whatever a decoder raises; the frame is lost all the same.
    """
    if job.codec is Codec.DEFLATE:
        return _deflated(job, stream)
    if job.codec is Codec.RLE:
        return _rle(job, stream)
    if job.codec in {Codec.JPEG_2000, Codec.HTJ2K}:
        stream = bare_codestream(stream)
    image = inspect(job.codec, stream)
    require(image, job)
    samples = np.asarray(_DECODERS[job.codec](job, image, stream))
    shape = (job.rows, job.columns) if job.samples == 1 else (job.rows, job.columns, job.samples)
    if samples.shape != shape:
        raise DamagedPixelsError("the decoder gave an image of another shape")
    return _cells(job, image, samples)


def _deflated(job: Job, stream: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    frame = inflater.decompress(stream, job.frame_bytes + 2)
    # One pad byte may make a frame even before it is deflated.
    if not inflater.eof or len(frame) not in {job.frame_bytes, job.frame_bytes + job.frame_bytes % 2}:
        raise DamagedPixelsError("a deflated frame of another size")
    return frame[: job.frame_bytes]


def _rle(job: Job, stream: bytes) -> bytes:
    width = max(job.bits_allocated // 8, 1)  # bits are packed before they are encoded, as a native frame is
    if len(stream) < _RLE_HEADER_BYTES or int.from_bytes(stream[:4], "little") != width * job.samples:
        raise DamagedPixelsError("an RLE frame with another number of segments")
    cell = np.dtype(f"<u{width}")
    try:
        decoded = _rle_decode(stream, cell)
    except imagecodecs.DicomrleError:
        # The decoder takes the byte that makes a fragment even for a run, where a sender padded with a space.
        decoded = _rle_decode(stream[:-1], cell)
    planes = np.frombuffer(decoded, np.uint8)
    if planes.size != job.frame_bytes:
        raise DamagedPixelsError("an RLE frame of another size")
    if job.bits_allocated == 1:
        return planes.tobytes()
    pixels = job.rows * job.columns
    return planes.reshape(job.samples, pixels, width).transpose(1, 0, 2).tobytes()


def _jpeg(job: Job, image: Image, stream: bytes) -> Samples:
    if job.samples != _COLOURS:
        return _jpeg_decode(stream)
    stored = "RGB" if _holds_rgb(job, image) else "YCBCR"
    wanted = "RGB" if job.photometric_after == "RGB" else stored
    return _jpeg_decode(stream, colorspace=stored, outcolorspace=wanted)


def _holds_rgb(job: Job, image: Image) -> bool:
    """Whether the coded components are RGB.

    The data set says what the pixels are; it is overruled only where it says RGB and the codestream says
    that it was transformed (Adobe's APP14 segment: 0 no, 1 yes; without one, that it is a JFIF file), or
    where the process never transforms.
    """
    if job.photometric == "RGB":
        untransformed = not image.jfif if image.adobe_transform is None else image.adobe_transform == 0
        return image.components == _RGB_NAMES or untransformed
    return not job.photometric.startswith("YBR")


def _jpeg_ls(_job: Job, _image: Image, stream: bytes) -> Samples:
    return _jpeg_ls_decode(stream)


def _jpeg_2000(_job: Job, _image: Image, stream: bytes) -> Samples:
    return _jpeg_2000_decode(stream, planar=False, numthreads=1)


def _htj2k(_job: Job, _image: Image, stream: bytes) -> Samples:
    """Decode; OpenJPH's errors do not reach the caller of imagecodecs, but this hook, with wrong pixels."""
    require_whole(stream)
    swallowed: list[type[BaseException]] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda raised: swallowed.append(raised.exc_type)
    try:
        samples = _htj2k_decode(stream, planar=False)
    finally:
        sys.unraisablehook = before
    if swallowed:
        raise DamagedPixelsError("a damaged HTJ2K codestream")
    return samples


_DECODERS: dict[Codec, Callable[[Job, Image, bytes], Samples]] = {
    Codec.JPEG: _jpeg,
    Codec.JPEG_LS: _jpeg_ls,
    Codec.JPEG_2000: _jpeg_2000,
    Codec.HTJ2K: _htj2k,
}


def _cells(job: Job, image: Image, samples: Samples) -> bytes:
    """Return samples as native pixel cells.

    Where codestream and data set disagree about the sign, the bits are right and the reading of them is
    not: the sign is carried through the cell, or taken out of it.
    """
    if job.bits_allocated == 1:
        return np.packbits(samples.reshape(-1) & 1, bitorder="little").tobytes()
    width = job.bits_allocated // 8
    if job.signed and not image.signed:
        cells = samples.astype(f"<i{width}")
        unused = job.bits_allocated - max(image.precision, job.bits_stored)
        cells = cells << unused >> unused if unused else cells
    elif image.signed and not job.signed:
        cells = samples.astype(f"<u{width}") & np.array((1 << image.precision) - 1, f"<u{width}")
    else:
        cells = samples.astype(f"<{'i' if job.signed else 'u'}{width}", copy=False)
    return cells.tobytes()
