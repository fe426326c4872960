"""What a file says before its data set begins (PS3.10 7.1): all that must be known to begin to keep it."""

from dataclasses import dataclass

from deid.elements import Buffer
from deid.files.part10 import read_part10
from dgis.dimse.services import Incoming
from dgis.dimse.sop_classes import Operation, service_of, takes_syntax
from dgis.dimse.status import Refusal, Status
from dgis.dimse.uids import is_uid

MOST_BYTES = 64 << 10  # of preamble and file meta information

_PREAMBLE_BYTES = 128
_MAGIC = b"DICM"
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_META = b"\x02\x00"
_GROUP_LENGTH_AT = _PREAMBLE_BYTES + len(_MAGIC)
_META_AT = _GROUP_LENGTH_AT + len(_GROUP_LENGTH) + 4
_ONE_ELEMENT_BYTES = 12  # the header of the first element behind tells that the group is over

_NO_FILE = Refusal(Status.CANNOT_UNDERSTAND, "no DICOM file with file meta information (PS3.10 7.1)")
_TOO_LONG = Refusal(Status.CANNOT_UNDERSTAND, "file meta information without end")
_NO_SYNTAX = Refusal(Status.CANNOT_UNDERSTAND, "this transfer syntax cannot be kept")
_NO_CLASS = Refusal(Status.SOP_CLASS_NOT_SUPPORTED, "no storage SOP class")
_NO_UID = Refusal(Status.INVALID_INSTANCE, "SOP Instance UID is not a valid UID")


@dataclass(frozen=True, slots=True)
class FileHead:
    """Where the data set begins, and what the file says of it, which the data set must bear out."""

    start: int
    incoming: Incoming


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a file is not begun to be kept; the UIDs are those that it names, as far as they are UIDs."""

    refusal: Refusal
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


def read_head(head: Buffer, *, whole: bool) -> FileHead | Refused | None:
    """Read the beginning of a file, or the `whole` of one; None: more bytes are needed."""
    if not whole and len(head) < _META_AT:
        return None
    if head[_PREAMBLE_BYTES:_GROUP_LENGTH_AT] != _MAGIC:
        return Refused(_NO_FILE)
    announced = _announced_start(head)
    complete = whole or len(head) >= MOST_BYTES
    if not complete and (announced is None or len(head) < announced + _ONE_ELEMENT_BYTES):
        return None
    found = read_part10(head)
    if found is None or found.start <= _GROUP_LENGTH_AT:
        return Refused(_NO_FILE)
    if not complete and found.start != announced:
        return None  # the group's length is wrong: the elements themselves say where it ends
    if head[found.start : found.start + len(_META)] == _META or found.start > MOST_BYTES:
        return Refused(_TOO_LONG)
    refusal = _judge(found.sop_class_uid, found.sop_instance_uid, found.transfer_syntax)
    if refusal is not None:
        named = (uid if is_uid(uid) else "" for uid in (found.sop_class_uid, found.sop_instance_uid))
        return Refused(refusal, *named)
    return FileHead(found.start, Incoming(found.sop_class_uid, found.sop_instance_uid, found.transfer_syntax))


def _announced_start(head: Buffer) -> int | None:
    """Return where the data set begins by the length of the group (0002,0000); None where it has none."""
    if head[_GROUP_LENGTH_AT : _META_AT - 4] != _GROUP_LENGTH:
        return None
    return _META_AT + int.from_bytes(head[_META_AT - 4 : _META_AT], "little")


def _judge(sop_class: str, sop_instance: str, transfer_syntax: str) -> Refusal | None:
    """What C-STORE decides when an association is negotiated, and by its command."""
    service = service_of(sop_class)
    if service is None or service.operation is not Operation.STORE:
        return _NO_CLASS
    if not is_uid(sop_instance):
        return _NO_UID
    return None if takes_syntax(service, transfer_syntax) else _NO_SYNTAX
