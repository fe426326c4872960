"""Who a data set is, from its first bytes: the four UIDs that find it again. Nothing else is decoded."""

import zlib
from dataclasses import dataclass

from deid.deflate import is_deflated
from deid.elements import Buffer, WalkError, detect_encoding, elements, encoding_of
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
_LONGEST_INFLATED_BYTES = 16 << 20  # a header that inflates beyond it is no header


@dataclass(frozen=True, slots=True)
class Identity:
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
    found: dict[int, str] = {}
    passed = False
    try:
        for element in elements(head, detect_encoding(head, encoding_of(transfer_syntax))):
            if element.tag in _WORDS and element.length >= 0 and element.tag not in found:
                value = bytes(head[element.value : element.value + min(element.length, 128)])
                found[element.tag] = value.rstrip(b"\0 ").decode("ascii", "replace")
                if len(found) == len(_WORDS):
                    break
            passed = passed or element.tag > SERIES_INSTANCE_UID
    except WalkError:
        pass  # what stands before is good; whether it is enough is judged below
    missing = tuple(tag for tag in _WORDS if not found.get(tag))
    if missing and not whole and not passed:
        return None
    if missing:
        return Refusal(Status.CANNOT_UNDERSTAND, f"{_WORDS[missing[0]]} missing or empty", missing)
    broken = tuple(tag for tag in _WORDS if not is_uid(found[tag]))
    if broken:
        return Refusal(Status.CANNOT_UNDERSTAND, f"{_WORDS[broken[0]]} is not a valid UID", broken)
    return Identity(
        found[SOP_CLASS_UID], found[SOP_INSTANCE_UID], found[STUDY_INSTANCE_UID], found[SERIES_INSTANCE_UID]
    )


def _inflated(head: Buffer, *, whole: bool) -> tuple[bytes, bool]:
    """Inflate what there is, up to a bound; tell whether the stream's end was reached."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(bytes(head), _LONGEST_INFLATED_BYTES)
    except zlib.error:
        return b"", True
    return plain, whole or inflater.eof or bool(inflater.unconsumed_tail)
