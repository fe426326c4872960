import struct
from dataclasses import dataclass
from typing import Final

from deid import encode
from deid.elements import Buffer, Encoding, WalkError, detect_encoding, elements, encoding_of

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
# This project, in file meta (PS3.7 D.3.3.2); the gateway writes the same.
_IMPLEMENTATION_CLASS_UID: Final = "2.25.221478410871655418012926318126317530466"
_IMPLEMENTATION_VERSION_NAME: Final = "DGIS_1"

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_META_GROUP, _DIRECTORY_GROUP, _FIRST_GROUP = 0x0002, 0x0004, 0x0008
_CLASS, _INSTANCE, _SYNTAX = 0x00020002, 0x00020003, 0x00020010
_LONGEST_UID_BYTES = 256


@dataclass(frozen=True, slots=True)
class Part10:
    """What a file says of itself before its data set begins, at offset `start`; nothing of it is checked."""

    start: int
    transfer_syntax: str = IMPLICIT_VR_LITTLE_ENDIAN
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    directory: bool = False


def read_part10(file: Buffer) -> Part10 | None:
    """Find the data set of a file (PS3.10 7.1); None where the bytes are no DICOM file.

    Files without preamble, without file meta information, or with neither are known by how they begin. The
    first bytes of a file are enough, unless its meta information is longer.
    """
    prefixed = bytes(file[_PREAMBLE_BYTES : _PREAMBLE_BYTES + len(_MAGIC)]) == _MAGIC
    start = _PREAMBLE_BYTES + len(_MAGIC) if prefixed else 0
    said: dict[int, str] = {}
    after = start
    try:
        for element in elements(file, Encoding.EXPLICIT_LE, start):
            if element.tag >> 16 != _META_GROUP:
                break
            after = element.end
            if 0 <= element.length <= _LONGEST_UID_BYTES:
                said[element.tag] = bytes(file[element.value : element.end]).decode("latin_1").strip(" \0")
    except WalkError:
        pass  # the data set may be encoded otherwise, or the meta information be cut: what was read counts
    syntax = said.get(_SYNTAX) or IMPLICIT_VR_LITTLE_ENDIAN
    group = None if prefixed or after > start else _first_group(file)
    if group not in {None, _DIRECTORY_GROUP, _FIRST_GROUP}:
        return None
    if group is None and not (prefixed or after > start):
        return None
    sop_class = said.get(_CLASS, "")
    directory = sop_class == _MEDIA_DIRECTORY or group == _DIRECTORY_GROUP
    return Part10(after, syntax, sop_class, said.get(_INSTANCE, ""), directory)


def _first_group(file: Buffer) -> int | None:
    """Return the group a bare data set begins with; None where the bytes begin no data set."""
    try:
        encoding = detect_encoding(file, encoding_of(IMPLICIT_VR_LITTLE_ENDIAN))
        return next((element.tag >> 16 for element in elements(file, encoding)), None)
    except WalkError:
        return None


def file_head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> bytes:
    """Return a preamble of zeros and file meta information of our own; nothing of a file's is taken over."""
    meta = b"".join(
        (
            encode.element(0x00020001, "OB", b"\0\x01"),
            encode.element(_CLASS, "UI", sop_class_uid.encode("ascii")),
            encode.element(_INSTANCE, "UI", sop_instance_uid.encode("ascii")),
            encode.element(_SYNTAX, "UI", transfer_syntax.encode("ascii")),
            encode.element(0x00020012, "UI", _IMPLEMENTATION_CLASS_UID.encode("ascii")),
            encode.element(0x00020013, "SH", _IMPLEMENTATION_VERSION_NAME.encode("ascii")),
        )
    )
    length = encode.element(0x00020000, "UL", struct.pack("<I", len(meta)))
    return bytes(_PREAMBLE_BYTES) + _MAGIC + length + meta
