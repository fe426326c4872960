"""The wrapper that makes a data set a file (DICOM PS3.10 7.1)."""

from typing import Final

IMPLEMENTATION_CLASS_UID: Final = "2.25.221478410871655418012926318126317530466"
"""This project, in file meta and associations; UUID-derived (DICOM PS3.5 B.2) and never to change."""
IMPLEMENTATION_VERSION_NAME: Final = "DGIS_1"

_PREAMBLE: Final = bytes(128) + b"DICM"
_VERSION_1: Final = b"\x00\x01"


def file_head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> bytes:
    """Make preamble and file meta information of our own; nothing of a sender's is ever copied into it."""
    meta = b"".join(
        (
            _element(0x0001, b"OB", _VERSION_1),
            _element(0x0002, b"UI", _uid(sop_class_uid)),
            _element(0x0003, b"UI", _uid(sop_instance_uid)),
            _element(0x0010, b"UI", _uid(transfer_syntax)),
            _element(0x0012, b"UI", _uid(IMPLEMENTATION_CLASS_UID)),
            _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
        )
    )
    return _PREAMBLE + _element(0x0000, b"UL", len(meta).to_bytes(4, "little")) + meta


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    reserved, width = (2, 4) if vr == b"OB" else (0, 2)  # PS3.5 7.1.2
    length = bytes(reserved) + len(value).to_bytes(width, "little")
    return b"\x02\x00" + number.to_bytes(2, "little") + vr + length + value


def _uid(uid: str) -> bytes:
    return uid.encode("ascii") + b"\0" * (len(uid) % 2)
