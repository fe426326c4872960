"""What two forms of one image have in common: stored bits of native pixels, coded data of others."""

import hashlib
import struct

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments

from tests.tools import wire
from tests.tools.files import BIG_ENDIAN, DEFLATED, parse

_NATIVE = {wire.IMPLICIT, wire.EXPLICIT, BIG_ENDIAN, DEFLATED}
_ELEMENTS = {"PixelData": None, "FloatPixelData": 4, "DoubleFloatPixelData": 8}


def fingerprint(dataset: bytes, syntax: str) -> str | None:
    """Return a digest of the stored bits of the pixels, or None where there are no pixels."""
    return fingerprint_of(parse(dataset, syntax), syntax)


def fingerprint_of(dataset: Dataset, syntax: str) -> str | None:
    """Return the same for a parsed data set."""
    for keyword, word_bytes in _ELEMENTS.items():
        if keyword in dataset:
            value = dataset[keyword].value
            if syntax not in _NATIVE:
                parts = [_without_application_segments(part) for part in generate_fragments(value)][1:]
                return hashlib.sha256(b"|".join(parts)).hexdigest()
            return hashlib.sha256(_native(dataset, value, syntax, word_bytes)).hexdigest()
    return None


def _native(dataset: Dataset, value: bytes, syntax: str, word_bytes: int | None) -> bytes:
    vr = dataset["PixelData"].VR if word_bytes is None else ""
    word = word_bytes or (dataset.BitsAllocated // 8 if dataset.BitsAllocated > 8 else 2 if vr == "OW" else 1)
    if syntax == BIG_ENDIAN and word > 1:
        value = np.frombuffer(value[: len(value) // word * word], f">u{word}").astype(f"<u{word}").tobytes()
    samples = int(dataset.get("NumberOfFrames") or 1) * dataset.Rows * dataset.Columns
    samples *= int(dataset.get("SamplesPerPixel", 1))
    if _chroma_is_halved(dataset):
        samples = samples * 2 // 3
    bits = dataset.BitsAllocated
    value = value[: (samples * bits + 7) // 8]
    if bits in {8, 16, 32} and word_bytes is None:
        pixels = np.frombuffer(value[: len(value) // (bits // 8) * (bits // 8)], f"<u{bits // 8}")
        low = dataset.HighBit - dataset.BitsStored + 1
        mask = ((1 << dataset.BitsStored) - 1) << max(low, 0)
        return (pixels & pixels.dtype.type(mask & ((1 << bits) - 1))).tobytes()
    return value


def _chroma_is_halved(dataset: Dataset) -> bool:
    return dataset.get("PhotometricInterpretation") in {"YBR_FULL_422", "YBR_PARTIAL_422"}


def _without_application_segments(fragment: bytes) -> bytes:
    """A JPEG codestream without its APPn and COM segments: they carry no image (ITU T.81 B.2.4)."""
    if fragment[:2] != b"\xff\xd8":
        return fragment
    kept, at = [fragment[:2]], 2
    while at + 4 <= len(fragment) and fragment[at] == 0xFF and fragment[at + 1] != 0xDA:
        marker = fragment[at + 1]
        (length,) = struct.unpack_from(">H", fragment, at + 2)
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(fragment[at : at + 2 + length])
        at += 2 + length
    return b"".join([*kept, fragment[at:]])
