"""PS3.8 and PS3.7 on bytes, written a second time for the tests: nothing here is shared with the product."""

import struct
from collections.abc import Iterable, Mapping

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
RQ, AC, RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
NO_DATA_SET = 0x0101  # PS3.7 E.1, (0000,0800)

# PS3.7 E.1: the command elements the tests use, with how their values are written
UID, US, AE = "uid", "us", "ae"
ELEMENTS = {
    "AffectedSOPClassUID": (0x0002, UID),
    "RequestedSOPClassUID": (0x0003, UID),
    "CommandField": (0x0100, US),
    "MessageID": (0x0110, US),
    "MessageIDBeingRespondedTo": (0x0120, US),
    "MoveDestination": (0x0600, AE),
    "Priority": (0x0700, US),
    "CommandDataSetType": (0x0800, US),
    "Status": (0x0900, US),
    "ErrorComment": (0x0902, AE),
    "AffectedSOPInstanceUID": (0x1000, UID),
    "RequestedSOPInstanceUID": (0x1001, UID),
    "EventTypeID": (0x1002, US),
    "ActionTypeID": (0x1008, US),
    "NumberOfRemainingSuboperations": (0x1020, US),
    "NumberOfCompletedSuboperations": (0x1021, US),
    "NumberOfFailedSuboperations": (0x1022, US),
    "NumberOfWarningSuboperations": (0x1023, US),
    "MoveOriginatorApplicationEntityTitle": (0x1030, AE),
    "MoveOriginatorMessageID": (0x1031, US),
}
_BY_ELEMENT = {element: (name, kind) for name, (element, kind) in ELEMENTS.items()}


class GoneError(ConnectionError):
    """The peer closed or aborted."""


def command(fields: Mapping[str, int | str]) -> bytes:
    parts = []
    for name, value in sorted(fields.items(), key=lambda item: ELEMENTS[item[0]][0]):
        element, kind = ELEMENTS[name]
        if kind == US:
            raw = struct.pack("<H", value)
        else:
            raw = str(value).encode("ascii")
            raw += (b"\0" if kind == UID else b" ") * (len(raw) % 2)
        parts.append(struct.pack("<HHI", 0, element, len(raw)) + raw)
    body = b"".join(parts)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def read_command(raw: bytes) -> dict[str, int | str]:
    fields, at = {}, 0
    while at < len(raw):
        _, element, length = struct.unpack_from("<HHI", raw, at)
        value = raw[at + 8 : at + 8 + length]
        at += 8 + length
        if element in _BY_ELEMENT:
            name, kind = _BY_ELEMENT[element]
            fields[name] = struct.unpack("<H", value)[0] if kind == US else value.decode().rstrip("\0 ")
    return fields


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate_rq(
    calling: str,
    called: str,
    contexts: Mapping[int, tuple[str, Iterable[str]]],
    provider_of: Iterable[str] = (),
    max_pdu: int = 131072,
) -> bytes:
    proposed = b"".join(
        item(
            0x20,
            struct.pack(">BBBB", number, 0, 0, 0)
            + item(0x30, abstract.encode())
            + b"".join(item(0x40, syntax.encode()) for syntax in syntaxes),
        )
        for number, (abstract, syntaxes) in contexts.items()
    )
    return pdu(RQ, _head(calling, called) + proposed + _user_information(provider_of, max_pdu))


def associate_ac(
    calling: str, called: str, accepted: Mapping[int, tuple[int, str]], max_pdu: int = 131072
) -> bytes:
    answered = b"".join(
        item(0x21, struct.pack(">BBBB", number, 0, result, 0) + item(0x40, syntax.encode()))
        for number, (result, syntax) in accepted.items()
    )
    return pdu(AC, _head(calling, called) + answered + _user_information((), max_pdu))


def _head(calling: str, called: str) -> bytes:
    titles = called.encode().ljust(16) + calling.encode().ljust(16)
    return struct.pack(">HH", 1, 0) + titles + bytes(32) + item(0x10, APPLICATION_CONTEXT.encode())


def _user_information(provider_of: Iterable[str], max_pdu: int) -> bytes:
    roles = b"".join(
        item(0x54, struct.pack(">H", len(uid)) + uid.encode() + b"\x01\x01") for uid in provider_of
    )
    return item(0x50, item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"2.25.1") + roles)


def items(body: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(body):
        kind, _, length = struct.unpack_from(">BBH", body, at)
        found.append((kind, body[at + 4 : at + 4 + length]))
        at += 4 + length
    return found


def peer_max_pdu(body: bytes) -> int:
    for kind, content in items(body[68:]):
        if kind == 0x50:
            for sub, value in items(content):
                if sub == 0x51:
                    return struct.unpack(">I", value)[0] or 1 << 20
    return 16384


def accepted_contexts(body: bytes) -> dict[int, str]:
    """Context number to transfer syntax, of those the acceptor took (PS3.8 9.3.3.2)."""
    found = {}
    for kind, content in items(body[68:]):
        if kind == 0x21 and content[2] == 0:
            found[content[0]] = items(content[4:])[0][1].decode().rstrip("\0")
    return found


def proposed_contexts(body: bytes) -> dict[int, tuple[str, list[str]]]:
    found = {}
    for kind, content in items(body[68:]):
        if kind == 0x20:
            inner = items(content[4:])
            abstract = next(value for sub, value in inner if sub == 0x30).decode().rstrip("\0")
            syntaxes = [value.decode().rstrip("\0") for sub, value in inner if sub == 0x40]
            found[content[0]] = (abstract, syntaxes)
    return found


def pdvs(body: bytes) -> list[tuple[int, int, bytes]]:
    """Context number, control header (PS3.8 E.2: bit 0 command, bit 1 last) and fragment of each PDV."""
    found, at = [], 0
    while at < len(body):
        (length,) = struct.unpack_from(">I", body, at)
        found.append((body[at + 4], body[at + 5], body[at + 6 : at + 4 + length]))
        at += 4 + length
    return found
