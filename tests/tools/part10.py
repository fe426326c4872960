"""DICOM files as the engine's input and output: the data set of a file, and a file of what was published."""

import struct
from pathlib import Path

from deid import encode
from deid.elements import Encoding, WalkError, elements
from deid.outcome import Published
from deid.splice import published_payload

_IMPLICIT = "1.2.840.10008.1.2"
_META_GROUP = 0x0002
_TRANSFER_SYNTAX = 0x00020010


def opened(path: Path) -> tuple[bytes, str]:
    """Return the data set bytes of a Part 10 file (or of a bare data set), and its transfer syntax."""
    raw = path.read_bytes()
    start, syntax = 0, _IMPLICIT
    if raw[128:132] == b"DICM":
        start = 132
        try:
            for element in elements(raw, Encoding.EXPLICIT_LE, start):
                if element.tag >> 16 != _META_GROUP:
                    break
                start = element.end
                if element.tag == _TRANSFER_SYNTAX:
                    syntax = raw[element.value : element.end].decode().rstrip("\0 ")
        except WalkError:
            pass
    return raw[start:], syntax


def payloads(data: bytes, form: Published) -> list[bytes]:
    """Return what is published of the frames or fragments of an instance."""
    source = data if form.inflated is None else form.inflated
    places = range(len(form.split.holes))
    return [bytes(published_payload(source, form.split, place, form.payload_edits)) for place in places]


def whole(data: bytes, form: Published) -> bytes:
    """Return a Part 10 file of the de-identified instance."""
    meta = b"".join((
        encode.element(0x00020001, "OB", b"\0\x01"),
        encode.element(0x00020002, "UI", form.sop_class_uid.encode()),
        encode.element(0x00020003, "UI", form.sop_instance_uid.encode()),
        encode.element(_TRANSFER_SYNTAX, "UI", form.transfer_syntax.encode()),
        encode.element(0x00020012, "UI", b"2.25.1"),
    ))  # fmt: skip
    length = encode.element(0x00020000, "UL", struct.pack("<I", len(meta)))
    return b"".join((bytes(128), b"DICM", length, meta, form.before, _pixels(data, form), form.after))


def _pixels(data: bytes, form: Published) -> bytes:
    split, found = form.split, payloads(data, form)
    if split.pixel_tag is None:
        return b""
    if not split.encapsulated:
        return encode.element(split.pixel_tag, split.pixel_vr, b"".join(found))
    fragments = [b"" if form.payload_edits else split.offset_table, *found]
    body = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(one)) + one for one in fragments)
    start = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    return start + body + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
