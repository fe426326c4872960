"""Who a data set is, from its first bytes: the four UIDs that find it again. Nothing else is decoded."""

import zlib
from typing import NamedTuple

from deid.alike import Walker
from deid.deflate import is_deflated
from deid.elements import Buffer, Encoding, WalkError, detect_encoding, elements, encoding_of
from dgis.dimse.status import Refusal, Status
from dgis.dimse.uids import is_uid

SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E

_WORDS = {
    SOP_CLASS_UID: "SOP Class UID",
    SOP_INSTANCE_UID: "SOP Instance UID",
    STUDY_INSTANCE_UID: "Study Instance UID",
    SERIES_INSTANCE_UID: "Series Instance UID",
}
_LONGEST_INFLATED_BYTES = 8 << 20  # a header that inflates beyond it is no header
_MOST_ELEMENTS = 20_000  # of the top level, before the series UID; real headers have hundreds
_LONGEST_VALUE_BYTES = 128  # more of a UID is not looked at: 64 is the most a UID has

_WALKER = Walker(_WORDS)


class Identity(NamedTuple):
    """The UIDs of a data set, as text without padding; each has the form of a UID."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str


def identify(head: Buffer, transfer_syntax: str, *, whole: bool = True) -> Identity | Refusal | None:
    """Find the UIDs of a data set in its first bytes.

    A data set that breaks off or turns unreadable after its UIDs is identified all the same. Elements may
    stand in any order as far as `head` reaches.

    Args:
        head: the data set, or its beginning.
        transfer_syntax: as negotiated or as the file meta information says; the bytes decide if it is wrong.
        whole: whether `head` is all there is.

    Returns:
        The identity; a refusal (0xC000) that names what is missing; or None: more bytes are needed.
    """
    if is_deflated(transfer_syntax):
        head, whole = _inflated(head, whole=whole)
    encoding = detect_encoding(head, encoding_of(transfer_syntax))
    begins = _WALKER.walk(head, encoding)
    values: dict[int, str] = {}
    for tag, offset, length in begins.wanted:
        if tag not in values:
            values[tag] = _text(head, offset, length)
    passed = begins.over
    if len(values) < len(_WORDS):
        passed = _seek(head, encoding, begins.end, values) or passed
    if len(values) == len(_WORDS) and all(map(is_uid, values.values())):
        return Identity(
            values[SOP_CLASS_UID],
            values[SOP_INSTANCE_UID],
            values[STUDY_INSTANCE_UID],
            values[SERIES_INSTANCE_UID],
        )
    missing = tuple(tag for tag in _WORDS if not values.get(tag))
    if missing and not whole and not passed:
        return None
    if missing:
        return Refusal(Status.CANNOT_UNDERSTAND, f"{_WORDS[missing[0]]} missing or empty", missing)
    broken = tuple(tag for tag in _WORDS if not is_uid(values[tag]))
    return Refusal(Status.CANNOT_UNDERSTAND, f"{_WORDS[broken[0]]} is not a valid UID", broken)


def _text(head: Buffer, offset: int, length: int) -> str:
    raw = bytes(head[offset : offset + min(length, _LONGEST_VALUE_BYTES)])
    return raw.rstrip(b"\0 ").decode("ascii", "replace")


def _seek(head: Buffer, encoding: Encoding, start: int, values: dict[int, str]) -> bool:
    """Look for what is missing behind the beginning of a header; whether the place for it was passed."""
    passed = False
    try:
        for number, element in enumerate(elements(head, encoding, start)):
            tag = element.tag
            if tag in _WORDS and tag not in values:
                values[tag] = _text(head, element.value, max(element.length, 0))
            passed = passed or tag > SERIES_INSTANCE_UID or number > _MOST_ELEMENTS
            if len(values) == len(_WORDS) or number > _MOST_ELEMENTS:
                break
    except WalkError:
        pass  # what stands before is good; whether it is enough is judged by the caller
    return passed


def _inflated(head: Buffer, *, whole: bool) -> tuple[bytes, bool]:
    """Inflate what there is, up to a bound; tell whether the stream's end was reached."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(bytes(head), _LONGEST_INFLATED_BYTES)
    except zlib.error:
        return b"", True
    return plain, whole or inflater.eof or bool(inflater.unconsumed_tail)
