"""What two forms of one image have in common: stored bits of native pixels, coded data of others."""

import hashlib
import struct

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments

from tests.tools import wire
from tests.tools.files import BIG_ENDIAN, DEFLATED, parse

_NATIVE = {wire.IMPLICIT, wire.EXPLICIT, BIG_ENDIAN, DEFLATED}
_JPEG_FAMILY = "1.2.840.10008.1.2.4."  # JPEG, JPEG-LS, JPEG 2000, HTJ2K
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
                parts = [_coded(part, syntax) for part in generate_fragments(value)][1:]
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


def _coded(fragment: bytes, syntax: str) -> bytes:
    """A fragment without what is no image: application and comment segments, and bytes behind the end marker.

    JPEG and JPEG-LS: APPn and COM (ITU-T T.81 B.2.4); JPEG 2000: COM (ITU-T T.800 A.9.2). Coded data of
    neither holds FFD9 (T.81 B.1.1.5, T.800 B.10.1), so the last one is the end of the image.
    """
    if not syntax.startswith(_JPEG_FAMILY):
        return fragment
    if fragment[:2] == b"\xff\xd8":
        fragment = _without(fragment, {*range(0xE0, 0xF0), 0xFE}, stop=0xDA)
    elif fragment[:2] == b"\xff\x4f":
        fragment = _without(fragment, {0x64}, stop=0x90)
    end = fragment.rfind(b"\xff\xd9")
    return fragment if end < 0 else fragment[: end + 2]


def _without(codestream: bytes, dropped: set[int], stop: int) -> bytes:
    kept, at = [codestream[:2]], 2
    while at + 4 <= len(codestream) and codestream[at] == 0xFF and codestream[at + 1] != stop:
        (length,) = struct.unpack_from(">H", codestream, at + 2)
        if codestream[at + 1] not in dropped:
            kept.append(codestream[at : at + 2 + length])
        at += 2 + length
    return b"".join([*kept, codestream[at:]])
