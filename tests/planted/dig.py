"""What lies inside bytes: packed streams, coded runs, elements, bits of pixels beside the stored ones."""

import base64
import binascii
import bz2
import lzma
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO

import imagecodecs
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments

_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
_OTHERS = re.compile(rb"BZh[1-9]1AY|\xfd7zXZ\0")
_ICC = re.compile(rb"(?s).{36}acsp")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_MOST_BYTES = 1 << 22  # that one stream unpacks to
_DEEPEST = 3
_RLE = "1.2.840.10008.1.2.5"
_DEFLATED = {"1.2.840.10008.1.2.1.99"}


def layers(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield the bytes themselves, then whatever can be unpacked from anywhere in them, and from that."""
    yield data, "bytes"
    seen = {data}
    open_ = [(data, "bytes", 0)]
    while open_:
        raw, way, depth = open_.pop()
        for inner, name in _inside(raw):
            if len(inner) >= 6 and inner not in seen:
                seen.add(inner)
                yield inner, f"{name} in {way}"
                if depth < _DEEPEST:
                    open_.append((inner, f"{name} in {way}", depth + 1))


def of_file(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield what a raw search does not see in a DICOM file: packed values, and bits beside the pixels."""
    dataset = _read(data)
    if dataset is None:
        return
    if dataset.file_meta.get("TransferSyntaxUID", "") in _DEFLATED:
        start = 144 + int(dataset.file_meta.get("FileMetaInformationGroupLength", 0))
        yield from ((one, "the deflated data set") for one in _inflated(data[start:], -zlib.MAX_WBITS))
    for tag, value in _values(dataset):
        for start in (0, 4, 8):
            yield from ((one, f"deflate in {tag}") for one in _inflated(value[start:], -zlib.MAX_WBITS))
    yield from _bit_planes(dataset)


def _inside(raw: bytes) -> Iterator[tuple[bytes, str]]:
    for match in _ICC.finditer(raw):
        table = raw[match.start() + 128 :]  # ICC.1 7.3: a count, then entries of name, offset and size
        count = min(int.from_bytes(table[:4], "big"), 1000)
        yield b"".join(table[4 + 12 * at : 8 + 12 * at] for at in range(count)), "names of ICC tags"
    for match in _ZLIB.finditer(raw):
        for one in _inflated(raw[match.start() :], zlib.MAX_WBITS | 32):
            yield one, "zlib or gzip"
    for match in _OTHERS.finditer(raw):
        opened = bz2.BZ2Decompressor() if match[0][:1] == b"B" else lzma.LZMADecompressor()
        try:
            yield opened.decompress(raw[match.start() :], _MOST_BYTES), "bzip2 or xz"
        except (OSError, EOFError, lzma.LZMAError, ValueError):
            continue
    for match in _BASE64.finditer(raw):
        text = match[0].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        for start in range(4):
            run = text[start : start + (len(text) - start) // 4 * 4]
            yield base64.b64decode(run), "base64"
    for match in _HEX.finditer(raw):
        try:
            yield binascii.unhexlify(match[0]), "hex"
        except binascii.Error:
            continue


def _inflated(raw: bytes, wbits: int) -> Iterator[bytes]:
    try:
        found = zlib.decompressobj(wbits).decompress(raw, _MOST_BYTES)
    except zlib.error:
        return
    if len(found) >= 6:
        yield found


def _read(data: bytes) -> Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dcmread(BytesIO(data), force=True)
        except Exception:  # noqa: BLE001 - what pydicom cannot read is still searched as bytes
            return None


def _values(dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    """Yield the raw values of all elements at every depth, fragments one by one."""
    for tag in list(dataset.keys()):
        raw = dataset.get_item(tag)
        value = raw.value
        if isinstance(value, (bytes, bytearray)):
            yield str(tag), bytes(value)
            if tag == 0x7FE00010 and value[:4] == b"\xfe\xff\x00\xe0":
                yield from ((f"fragment of {tag}", one) for one in _fragments(bytes(value)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                items = list(dataset[tag].value) if dataset[tag].VR == "SQ" else []
            except Exception:  # noqa: BLE001 - see above
                items = []
        for one in items:
            yield from _values(one)


def _fragments(value: bytes) -> Iterator[bytes]:
    """Yield the items of encapsulated pixels, the offset table first."""
    try:
        yield from generate_fragments(value)
    except (ValueError, struct.error):
        return


def _bit_planes(dataset: Dataset) -> Iterator[tuple[bytes, str]]:
    """Yield each bit outside the stored ones as the stream an overlay in it would be (PS3.5 8.1.2)."""
    allocated, stored = dataset.get("BitsAllocated", 0), dataset.get("BitsStored", 0)
    if allocated not in {8, 16} or not stored:
        return
    words = _pixels(dataset, allocated)
    high = dataset.get("HighBit", stored - 1)
    for bit in range(allocated):
        if high - stored < bit <= high or not len(words):
            continue
        plane = (words >> bit & 1).astype(np.uint8)
        for order in ("little", "big"):
            yield np.packbits(plane, bitorder=order).tobytes(), f"bit {bit} of the pixels"


def _pixels(dataset: Dataset, allocated: int) -> np.ndarray:
    value = bytes(dataset.get("PixelData", b"") or b"")
    syntax = dataset.file_meta.get("TransferSyntaxUID", "")
    frame = next(iter(list(_fragments(value))[1:]), b"") if value[:4] == b"\xfe\xff\x00\xe0" else b""
    if syntax == _RLE:
        return _unpacked(frame, allocated)
    if frame[:2] == b"\xff\x4f":
        return np.asarray(imagecodecs.jpeg2k_decode(frame)).reshape(-1).astype(np.uint32)
    return np.frombuffer(value[: len(value) // 2 * 2], f"<u{allocated // 8}")


def _unpacked(frame: bytes, allocated: int) -> np.ndarray:
    """Return the pixels of an RLE frame with all of their bits (PS3.5 Annex G)."""
    nothing = np.zeros(0, np.uint8)
    if len(frame) < 64:
        return nothing
    count, *offsets = struct.unpack_from("<16I", frame)
    if count * 8 != allocated:
        return nothing
    limits = [*offsets[1:count], len(frame)]
    planes = [
        np.frombuffer(_run_bytes(frame[start:stop]), np.uint8)
        for start, stop in zip(offsets[:count], limits, strict=True)
    ]
    size = min(map(len, planes))
    return np.sum(
        [plane[:size].astype(np.uint32) << 8 * (count - 1 - at) for at, plane in enumerate(planes)], axis=0
    )


def _run_bytes(segment: bytes) -> bytes:
    """Undo the runs of a segment (PS3.5 G.3)."""
    found, at = bytearray(), 0
    while at + 1 < len(segment):
        head = segment[at]
        if head < 128:
            found += segment[at + 1 : at + 2 + head]
            at += head + 2
        else:
            found += segment[at + 1 : at + 2] * (257 - head if head > 128 else 0)
            at += 1 if head == 128 else 2
    return bytes(found)
