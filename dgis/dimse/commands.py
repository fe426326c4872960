"""DIMSE command sets: implicit VR little endian elements of group 0000, PS3.7 section 9.3, annex E."""

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from struct import Struct
from typing import Any, NamedTuple

from dgis.dimse.status import COMMENT_CHARACTERS

_ELEMENT = Struct("<HHI")
_U16 = Struct("<H")
_NUMBER = Struct("<HHIH")  # an element whose value is one US
_GROUP_LENGTH = Struct("<HHII")
_NO_DATA_SET = 0x0101  # Command Data Set Type, PS3.7 E.1: any other value means a data set follows
_DATA_SET = 0x0001
RESPONSE = 0x8000


class MalformedCommandError(ValueError):
    """Bytes that are no command set; the text holds rules and sizes, never content."""


class Field(IntEnum):
    """Command Field (0000,0100), PS3.7 E.1."""

    C_STORE_RQ = 0x0001
    C_GET_RQ = 0x0010
    C_FIND_RQ = 0x0020
    C_MOVE_RQ = 0x0021
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_ACTION_RQ = 0x0130
    N_CREATE_RQ = 0x0140
    C_CANCEL_RQ = 0x0FFF
    C_STORE_RSP = 0x8001
    C_GET_RSP = 0x8010
    C_FIND_RSP = 0x8020
    C_MOVE_RSP = 0x8021
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RSP = 0x8100
    N_ACTION_RSP = 0x8130
    N_CREATE_RSP = 0x8140


class Command(NamedTuple):
    """One command set; a field that the message does not have is None. UIDs are text as sent, padding off.

    A tuple, because two of them are made for every image.
    """

    field: int
    sop_class: str | None = None
    requested_sop_class: str | None = None
    message_id: int | None = None
    responded_to: int | None = None
    move_destination: str | None = None
    priority: int | None = None
    has_data_set: bool = False
    status: int | None = None
    offending: tuple[int, ...] | None = None
    comment: str | None = None
    sop_instance: str | None = None
    requested_sop_instance: str | None = None
    event_type: int | None = None
    action_type: int | None = None
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    originator_ae: str | None = None
    originator_message_id: int | None = None


class _Form(NamedTuple):
    """How one value representation is read and written (PS3.5 6.2)."""

    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


def _decode_short(value: bytes) -> int:
    if len(value) != _U16.size:
        raise MalformedCommandError(f"US of {len(value)} bytes")
    return int.from_bytes(value, "little")


def _decode_text(value: bytes) -> str:
    return value.strip(b"\0 ").decode("ascii", "replace")


def _decode_tags(value: bytes) -> tuple[int, ...]:
    words = [_U16.unpack_from(value, at)[0] for at in range(0, len(value) - len(value) % 4, 2)]
    return tuple(group << 16 | element for group, element in zip(words[::2], words[1::2], strict=True))


def _encode_tags(tags: tuple[int, ...]) -> bytes:
    return b"".join(_U16.pack(tag >> 16) + _U16.pack(tag & 0xFFFF) for tag in tags)


def _padded(text: str, pad: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    return value + pad if len(value) % 2 else value


_US = _Form(_decode_short, _U16.pack)
_UI = _Form(_decode_text, lambda uid: _padded(uid, b"\0"))
_AE = _Form(_decode_text, lambda title: _padded(title, b" "))
_LO = _Form(_decode_text, lambda words: _padded(words[:COMMENT_CHARACTERS], b" "))
_AT = _Form(_decode_tags, _encode_tags)
_DATA_SET_TYPE = _Form(
    lambda value: _decode_short(value) != _NO_DATA_SET,
    lambda present: _U16.pack(_DATA_SET if present else _NO_DATA_SET),
)

# PS3.7 table E.1-1, in the order of the tags: element of group 0000, name of the field here, form.
ELEMENTS: tuple[tuple[int, str, _Form], ...] = (
    (0x0002, "sop_class", _UI),
    (0x0003, "requested_sop_class", _UI),
    (0x0100, "field", _US),
    (0x0110, "message_id", _US),
    (0x0120, "responded_to", _US),
    (0x0600, "move_destination", _AE),
    (0x0700, "priority", _US),
    (0x0800, "has_data_set", _DATA_SET_TYPE),
    (0x0900, "status", _US),
    (0x0901, "offending", _AT),
    (0x0902, "comment", _LO),
    (0x1000, "sop_instance", _UI),
    (0x1001, "requested_sop_instance", _UI),
    (0x1002, "event_type", _US),
    (0x1008, "action_type", _US),
    (0x1020, "remaining", _US),
    (0x1021, "completed", _US),
    (0x1022, "failed", _US),
    (0x1023, "warning", _US),
    (0x1030, "originator_ae", _AE),
    (0x1031, "originator_message_id", _US),
)


def _writer(element: int, form: _Form) -> Callable[[Any], bytes]:
    """Return what writes one element whole; numbers, most of a command, with one call."""
    if form is _US:
        return partial(_NUMBER.pack, 0, element, _U16.size)

    def write(value: Any) -> bytes:  # noqa: ANN401 - as the form takes it
        raw = form.encode(value)
        return _ELEMENT.pack(0, element, len(raw)) + raw

    return write


_BY_ELEMENT = {element: (name, form.decode) for element, name, form in ELEMENTS}
_WRITERS = tuple((Command._fields.index(name), _writer(element, form)) for element, name, form in ELEMENTS)


def encode_command(command: Command) -> bytes:
    """Return the command set with its group length in front."""
    body = b"".join([write(command[place]) for place, write in _WRITERS if command[place] is not None])
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def decode_command(data: bytes | bytearray | memoryview) -> Command:
    """Read a command set; elements that nobody needs are passed over, the group length is not believed.

    Raises:
        MalformedCommandError: lengths that do not fit, another group, no Command Field or Data Set Type.
    """
    raw = bytes(data)
    found: dict[str, Any] = {}
    offset, end = 0, len(raw)
    while offset < end:
        if end - offset < _ELEMENT.size:
            raise MalformedCommandError(f"{end - offset} stray bytes")
        group, element, length = _ELEMENT.unpack_from(raw, offset)
        offset += _ELEMENT.size
        stop = offset + length
        if group or stop > end:
            what = "an element of another group" if group else "an element longer than what is left"
            raise MalformedCommandError(what)
        if length and element in _BY_ELEMENT:
            name, decode = _BY_ELEMENT[element]
            found[name] = decode(raw[offset:stop])
        offset = stop
    if "field" not in found or "has_data_set" not in found:
        raise MalformedCommandError("no Command Field or no Command Data Set Type")
    return Command(**found)


def response_to(request: Command, status: int, **values: Any) -> Command:  # noqa: ANN401 (fields of Command)
    """Build the response to a request: its field, its message ID, its SOP class (PS3.7 9.3)."""
    return Command(
        field=request.field | RESPONSE,
        sop_class=request.sop_class or request.requested_sop_class,
        responded_to=request.message_id,
        status=status,
        **values,
    )
