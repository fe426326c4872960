"""Pixels of one instance as NumPy arrays, every transfer syntax by the gateway's own decoders."""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from deid.elements import WalkError
from dgis.client.volume.values import VolumeError
from dgis.transcode.codecs import decode
from dgis.transcode.errors import TranscodeError
from dgis.transcode.fragments import codestreams
from dgis.transcode.job import Job, native_cell
from dgis.transcode.source import Source
from dgis.transcode.syntaxes import CODECS, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, NATIVE

Samples = NDArray[Any]

_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_FLOAT_PIXELS = ("FloatPixelData", "DoubleFloatPixelData")


def stored_pixels(dataset: Dataset) -> Samples:
    """Return stored values, (frames, rows, columns), colours as RGB in a last axis of three.

    Decoding is done in this process: the pictures are what a gateway hands out to this caller anyway.

    Raises:
        VolumeError: the pixels cannot be decoded, or there are none.
    """
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", IMPLICIT_LITTLE_ENDIAN))
    if syntax in CODECS and "PixelData" in dataset:
        dataset = _native(dataset, syntax)
    elif syntax not in NATIVE:
        raise VolumeError(f"transfer syntax {UID(syntax).name} cannot be decoded")
    try:
        samples = pixel_array(dataset)
        if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
            samples = _eight_bits(apply_color_lut(samples, dataset))
    except (AttributeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise VolumeError(f"pixels that cannot be read: {error}") from error
    if int(dataset.get("NumberOfFrames") or 1) == 1:
        samples = samples[np.newaxis]
    return samples if any(one in dataset for one in _FLOAT_PIXELS) else _used_bits(samples, dataset)


def _native(dataset: Dataset, syntax: str) -> Dataset:
    """Return the data set with its frames decoded, as if it had come in explicit little endian."""
    frames = int(dataset.get("NumberOfFrames") or 1)
    cell = native_cell(int(dataset.BitsAllocated))
    if cell is None:
        raise VolumeError(f"pixel cells of {dataset.BitsAllocated} bits")
    job = Job(
        codec=CODECS[syntax],
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        samples=int(dataset.SamplesPerPixel),
        bits_allocated=cell,
        bits_stored=int(dataset.BitsStored),
        signed=dataset.PixelRepresentation == 1,
        photometric=str(dataset.PhotometricInterpretation),
    )
    fragments = dataset["PixelData"].value
    source = Source([fragments, _END])
    try:
        decoded = b"".join(
            decode(job, stream) for stream in codestreams(source, job.codec, frames, len(fragments))
        )
    except (TranscodeError, WalkError) as error:
        raise VolumeError(f"damaged pixels: {error}") from error
    except Exception as error:  # a decoder's own, of whatever kind
        raise VolumeError(f"damaged pixels: {type(error).__name__}") from error
    made = copy.copy(dataset)
    made.file_meta = copy.copy(dataset.file_meta)
    made.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE_ENDIAN)
    made.BitsAllocated = cell
    made.PhotometricInterpretation = job.photometric_after
    if job.samples > 1:
        made.PlanarConfiguration = 0
    made.PixelData = decoded + b"\0" * (len(decoded) % 2)
    made["PixelData"].is_undefined_length = False
    return made


def _used_bits(samples: Samples, dataset: Dataset) -> Samples:
    """Leave out bits that are no part of the value: overlays of old lay there (PS3.5 8.1.1)."""
    stored, high = int(dataset.BitsStored), int(dataset.get("HighBit", dataset.BitsStored - 1))
    bits = samples.dtype.itemsize * 8
    if samples.dtype.kind not in "iu" or stored >= bits or not stored <= high + 1 <= bits:
        return samples
    return samples << (bits - 1 - high) >> (bits - stored)


def _eight_bits(samples: Samples) -> Samples:
    return samples if samples.dtype == np.uint8 else (samples >> 8).astype(np.uint8)
