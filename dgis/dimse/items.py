"""Items of A-ASSOCIATE PDUs: types and the type-length-value walk (PS3.8 9.3.2, 9.3.3; PS3.7 D.3.3)."""

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

from dgis.dimse.pdu import MalformedPduError

_ITEM = Struct(">BBH")
_U16 = Struct(">H")


class Item(IntEnum):
    """Item types of PS3.8 9.3.2, 9.3.3 and annex D, PS3.7 annex D.3.3."""

    APPLICATION_CONTEXT = 0x10
    CONTEXT_RQ = 0x20
    CONTEXT_AC = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS = 0x52
    ASYNCHRONOUS_WINDOW = 0x53
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION = 0x55
    EXTENDED_NEGOTIATION = 0x56
    IDENTITY_RQ = 0x58
    IDENTITY_AC = 0x59


def items(body: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Walk the items of a body: type and value, each length checked before it is believed.

    Raises:
        MalformedPduError: an item that ends past the body.
    """
    offset, end = 0, len(body)
    while offset < end:
        if end - offset < _ITEM.size:
            raise MalformedPduError(f"item header cut off at {offset}")
        kind, _, length = _ITEM.unpack_from(body, offset)
        offset += _ITEM.size
        if length > end - offset:
            raise MalformedPduError(f"item of {length} bytes at {offset}, {end - offset} are left")
        yield kind, body[offset : offset + length]
        offset += length


def encode_item(kind: Item, value: bytes) -> bytes:
    """Return one item; a value above 65,535 bytes has no encoding and is a defect of the caller."""
    return _ITEM.pack(kind, 0, len(value)) + value


def counted(value: memoryview) -> tuple[bytes, memoryview]:
    """Take a field with a two-byte length in front; return it and what follows.

    Raises:
        MalformedPduError: the field ends past the value.
    """
    if len(value) < _U16.size:
        raise MalformedPduError("length field cut off")
    length = _U16.unpack_from(value)[0]
    rest = value[_U16.size :]
    if length > len(rest):
        raise MalformedPduError(f"field of {length} bytes, {len(rest)} are left")
    return bytes(rest[:length]), rest[length:]


def encode_counted(value: bytes) -> bytes:
    """Put a two-byte length in front of a field."""
    return _U16.pack(len(value)) + value


def text(value: bytes | memoryview) -> str:
    """Read ASCII, padding dropped; other bytes become a character that no UID holds."""
    return bytes(value).rstrip(b"\0 ").decode("ascii", "replace")
