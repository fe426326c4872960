"""DICOM written byte by byte, also what no toolkit writes; shares no code with what is tested."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# PS3.5 Table 7.1-1: 32-bit length after two reserved bytes.
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_CODES = {
    "AT": "H",
    "FD": "d",
    "FL": "f",
    "OW": "H",
    "SL": "i",
    "SS": "h",
    "SV": "q",
    "UL": "I",
    "US": "H",
    "UV": "Q",
}
_UNDEFINED = 0xFFFFFFFF
_NUL_PADDED = frozenset({"UI", "OB", "UN"})

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


class Form(NamedTuple):
    """How a data set is written (PS3.5 Annex A): `undefined` leaves lengths of sequences and items open."""

    syntax: str = EXPLICIT
    undefined: bool = False

    @property
    def order(self) -> str:
        return ">" if self.syntax == BIG else "<"

    @property
    def implicit(self) -> bool:
        return self.syntax == IMPLICIT


class Field(NamedTuple):
    """VR and value: bytes as they are, text (latin-1), numbers, data sets (items), or fragments."""

    vr: str
    value: "bytes | str | tuple[float, ...] | Sequence[Dataset] | Fragments"


class Fragments(NamedTuple):
    """Encapsulated pixel data (PS3.5 A.4): the offset table, then the fragments, written as they are."""

    table: bytes
    parts: tuple[bytes, ...]


Dataset = Mapping[int, Field]


@dataclass(frozen=True)
class Part10:
    """A file in parts (PS3.10 7.1): what stands before, around and behind a data set."""

    dataset: bytes = field(repr=False)
    sop_class: str
    sop_instance: str
    syntax: str = EXPLICIT
    preamble: bytes = bytes(128)
    meta: Dataset = field(default_factory=dict)
    tail: bytes = b""

    def written(self) -> bytes:
        meta = {
            0x00020001: Field("OB", b"\0\1"),
            0x00020002: Field("UI", self.sop_class),
            0x00020003: Field("UI", self.sop_instance),
            0x00020010: Field("UI", self.syntax),
            0x00020012: Field("UI", "1.2.276.0.7230010.3.0.3.6.7"),
            **self.meta,
        }
        body = encoded(meta)
        length = encoded({0x00020000: Field("UL", (len(body),))})
        return self.preamble.ljust(128, b"\0")[:128] + b"DICM" + length + body + self.dataset + self.tail


_PLAIN = Form()


def encoded(dataset: Dataset, form: Form = _PLAIN) -> bytes:
    """Return the elements in tag order."""
    return b"".join(element(tag, *dataset[tag], form) for tag in sorted(dataset))


def element(tag: int, vr: str, value, form: Form = _PLAIN) -> bytes:
    """Return one element; what is odd is padded as PS3.5 6.2 says."""
    if vr == "UN" and isinstance(value, list) and form.syntax == BIG:
        vr = "SQ"  # items in UN are little endian (PS3.5 6.2.2); pydicom, which reads them again, thinks not
    open_ended = form.undefined and vr in {"SQ", "UN"} and isinstance(value, list)
    if isinstance(value, Fragments):
        raw, open_ended = _fragments(value), True
    elif isinstance(value, list):
        inner = Form(IMPLICIT, undefined=True) if vr == "UN" else form
        raw = b"".join(item(one, inner) for one in value)
        open_ended = open_ended or vr == "UN"
        raw += _head(0xFFFEE0DD, 0, inner) if open_ended else b""
    elif isinstance(value, tuple):
        raw = struct.pack(f"{form.order}{len(value)}{_CODES[vr]}", *value)
    else:
        raw = value.encode("latin_1") if isinstance(value, str) else bytes(value)
    if len(raw) % 2 and not isinstance(value, Fragments):
        raw += b"\0" if vr in _NUL_PADDED else b" "
    length = _UNDEFINED if open_ended else len(raw)
    head = struct.pack(f"{form.order}HH", tag >> 16, tag & 0xFFFF)
    if form.implicit:
        return head + struct.pack("<I", length) + raw
    if vr in _LONG:
        return head + vr.encode() + bytes(2) + struct.pack(f"{form.order}I", length) + raw
    return head + vr.encode() + struct.pack(f"{form.order}H", len(raw)) + raw


def item(dataset: Dataset, form: Form = _PLAIN) -> bytes:
    body = encoded(dataset, form)
    if form.undefined:
        return _head(0xFFFEE000, _UNDEFINED, form) + body + _head(0xFFFEE00D, 0, form)
    return _head(0xFFFEE000, len(body), form) + body


def _fragments(value: Fragments) -> bytes:
    form = Form()
    parts = (_head(0xFFFEE000, len(one), form) + one for one in (value.table, *value.parts))
    return b"".join(parts) + _head(0xFFFEE0DD, 0, form)


def _head(tag: int, length: int, form: Form) -> bytes:
    return struct.pack(f"{form.order}HHI", tag >> 16, tag & 0xFFFF, length)
