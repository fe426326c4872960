"""A query as the trail keeps it, as a DICOM data set again: what PS3.15 A.5.3.10 wants of a Query message."""

from collections.abc import Mapping
from struct import Struct, error

from catalog.attributes import ATTRIBUTES
from catalog.audit.values import Json

TRANSFER_SYNTAX = "1.2.840.10008.1.2.1"  # Explicit VR Little Endian
FIND_CLASSES = {  # PS3.4 C.6.1.3, C.6.2.3
    "patient": "1.2.840.10008.5.1.4.1.2.1.1",
    "study": "1.2.840.10008.5.1.4.1.2.2.1",
}
_LEVEL = 0x00080052
_UTF_8 = ((0x00080005, "CS", b"ISO_IR 192"),)
_SHORT = Struct("<HH2sH")  # PS3.5 7.1.2: no key has one of the VRs with a long length
_MOST_BYTES = 8192  # of a data set; further keys are left out: receivers may cut off long messages
_NUMBERS = {"US": Struct("<H"), "UL": Struct("<I")}


def data_set(asked: Mapping[str, Json]) -> bytes:
    """Return level and keys (`catalog.release.asked`) as a data set in `TRANSFER_SYNTAX`."""
    keys = asked.get("keys")
    rows = [*_UTF_8, (_LEVEL, "CS", str(asked.get("level", "")).encode())]
    for keyword, values in keys.items() if isinstance(keys, dict) else ():
        attribute = ATTRIBUTES.get(keyword)
        if attribute is not None and isinstance(values, list):
            rows.append((attribute.tag, attribute.vr, _raw(attribute.vr, values)))
    written = b""
    for tag, vr, raw in sorted(rows):
        element = _element(tag, vr, raw)
        if len(written) + len(element) <= _MOST_BYTES:
            written += element
    return written


def _raw(vr: str, values: list[Json]) -> bytes:
    number = _NUMBERS.get(vr)
    if number is None:
        return "\\".join(map(str, values)).encode("utf-8", "replace")
    try:
        return b"".join(number.pack(int(str(value))) for value in values)
    except (ValueError, error):
        return b""  # a key that is no number matched nothing


def _element(tag: int, vr: str, raw: bytes) -> bytes:
    if len(raw) % 2:
        raw += b"\0" if vr == "UI" else b" "
    return _SHORT.pack(tag >> 16, tag & 0xFFFF, vr.encode(), min(len(raw), 0xFFFE)) + raw[:0xFFFE]
