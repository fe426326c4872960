"""Small data sets and companions for the tests of splice and seal."""

import struct
from bisect import bisect_right
from hashlib import sha256
from itertools import accumulate

from deid.keys.values import PatientKey
from deid.seal.values import Sealable, SealNames
from deid.seal.writer import seal_part
from deid.splice import payload_of, program_for, published_payload, split, whole_program

KEY = PatientKey("patient-a", bytes(range(32)))
NAMES = SealNames(site="site-1", patient_key=KEY.name, part="series-1.part-0")
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
LONG = {"OB", "OW", "OF", "OD", "UN", "SQ", "UT"}


def element(tag: int, vr: str, value: bytes, order: str = "<", length: int | None = None) -> bytes:
    value += b"\0" * (len(value) % 2)
    length = len(value) if length is None else length
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in LONG:
        return head + b"\0\0" + struct.pack(f"{order}I", length) + value
    return head + struct.pack(f"{order}H", length) + value


def header(
    *,
    rows=2,
    columns=3,
    samples=1,
    bits=16,
    frames=None,
    photometric="MONOCHROME2",
    order="<",
    name="Canary^Jane",
):
    def us(tag, number):
        return element(tag, "US", struct.pack(f"{order}H", number), order)

    out = element(0x00080018, "UI", b"1.2.3.4", order) + element(0x00100010, "PN", name.encode(), order)
    out += us(0x00280002, samples) + element(0x00280004, "CS", photometric.encode(), order)
    if frames is not None:
        out += element(0x00280008, "IS", str(frames).encode(), order)
    return out + us(0x00280010, rows) + us(0x00280011, columns) + us(0x00280100, bits)


def native(value: bytes, vr="OW", order="<", tail=b"", **layout) -> bytes:
    return header(order=order, **layout) + element(0x7FE00010, vr, value, order) + tail


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value


def fragments(values, table=b"", tail=b"", **layout) -> bytes:
    body = item(table) + b"".join(map(item, values)) + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return header(**layout) + element(0x7FE00010, "OB", b"", length=0xFFFFFFFF) + body + tail


def sealable(original: bytes, syntax=EXPLICIT, edits=None, *, whole=False) -> Sealable:
    found = split(original, syntax)
    program = whole_program(len(original)) if whole else program_for(found, len(original), edits)
    return Sealable(
        original,
        syntax,
        sha256(original).digest(),
        program,
        lambda index: published_payload(original, found, index, edits or {}),
    )


def payloads(original: bytes, syntax=EXPLICIT):
    found = split(original, syntax)
    return [bytes(payload_of(original, found, index)) for index in range(len(found.holes))]


def companion(originals, rows=b"rows", names=NAMES, key=KEY, **options) -> bytes:
    sealables = [entry if isinstance(entry, Sealable) else sealable(entry) for entry in originals]
    return b"".join(seal_part(sealables, names, key, rows, **options).body)


class BodySource:
    """A companion in memory, in as many buffers as the writer made."""

    def __init__(self, body):
        self._buffers = [memoryview(buffer) for buffer in body]
        self._starts = list(accumulate(map(len, self._buffers), initial=0))
        self.size = self._starts.pop()

    def read(self, start, length):
        out = bytearray()
        index = bisect_right(self._starts, start) - 1
        while len(out) < length and index < len(self._buffers):
            offset = start + len(out) - self._starts[index]
            out += self._buffers[index][offset : offset + length - len(out)]
            index += 1
        return memoryview(out)
