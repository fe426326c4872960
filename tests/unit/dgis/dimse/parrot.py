"""A scripted peer: says exactly the bytes it is told, and reads what comes back PDU by PDU."""

import socket
import struct
from contextlib import contextmanager

from dgis.dimse.associate import decode_accept, encode_request
from dgis.dimse.commands import Command, decode_command, encode_command
from dgis.dimse.pdu import RELEASE_RQ, encode_abort
from dgis.dimse.proposal import AssociateRequest, ProposedContext
from dgis.dimse.uids import EXPLICIT_LE, IMPLICIT_LE, VERIFICATION

CT = "1.2.840.10008.5.1.4.1.1.2"
RELEASE = RELEASE_RQ
ABORT = encode_abort(0)
ECHO_CONTEXT = ProposedContext(1, VERIFICATION, (IMPLICIT_LE,))
CT_CONTEXT = ProposedContext(3, CT, (EXPLICIT_LE,))


def request(*contexts: ProposedContext, **values: object) -> AssociateRequest:
    return AssociateRequest(**{"called_ae": "DGIS", "calling_ae": "PARROT", "contexts": contexts, **values})


def pdata(context_id: int, control: int, payload: bytes) -> bytes:
    return struct.pack(">BBIIBB", 4, 0, len(payload) + 6, len(payload) + 2, context_id, control) + payload


def command(context_id: int, values: Command) -> bytes:
    return pdata(context_id, 3, encode_command(values))


def echo_command(message_id: int = 1) -> Command:
    return Command(field=0x30, sop_class=VERIFICATION, message_id=message_id)


def store_command(sop_instance: str, sop_class: str = CT, **values: object) -> Command:
    return Command(
        **{
            "field": 1,
            "sop_class": sop_class,
            "message_id": 7,
            "priority": 0,
            "has_data_set": True,
            "sop_instance": sop_instance,
            **values,
        }
    )


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Explicit VR little endian."""
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    if vr in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
        return start + struct.pack("<HI", 0, len(value)) + value
    return start + struct.pack("<H", len(value)) + value


def data_set(sop_instance: str = "1.2.3.4", sop_class: str = CT, pixel_bytes: int = 64, **uids: str) -> bytes:
    """A small instance, explicit VR little endian; a UID given as "" is left out."""
    study, series = uids.get("study", "1.2.3"), uids.get("series", "1.2.3.1")
    parts = [
        (0x00080016, b"UI", sop_class),
        (0x00080018, b"UI", sop_instance),
        (0x00100010, b"PN", "Canary^Planted"),
        (0x0020000D, b"UI", study),
        (0x0020000E, b"UI", series),
    ]
    head = b"".join(element(tag, vr, value.encode()) for tag, vr, value in parts if value)
    return head + element(0x7FE00010, b"OW", bytes(pixel_bytes))


class Parrot:
    def __init__(self, port: int, seconds: float = 10) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self) -> tuple[int, bytes]:
        """The next PDU: type and body; (0, b"") where the connection was closed."""
        head = self._read(6)
        if len(head) < 6:
            return 0, b""
        kind, _, length = struct.unpack(">BBI", head)
        return kind, self._read(length)

    def associate(self, *contexts: ProposedContext, **values: object):
        self.say(encode_request(request(*contexts, **values)))
        kind, body = self.hear()
        assert kind == 2, f"PDU type {kind}: {body[:4].hex()}"
        return decode_accept(memoryview(body))

    def hear_command(self) -> Command:
        kind, body = self.hear()
        assert kind == 4, f"PDU type {kind}: {body[:4].hex()}"
        assert body[5] == 3, "a command in one piece was expected"
        length = struct.unpack_from(">I", body)[0]
        return decode_command(body[6 : 4 + length])

    def closed(self) -> bool:
        """Whether the other side closes, with nothing more to say."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def echoes(self) -> bool:
        """Whether a whole good association still works on this connection."""
        self.say(encode_request(request(ECHO_CONTEXT)))
        if self.hear()[0] != 2:
            return False
        self.say(command(1, echo_command()))
        status = self.hear_command().status
        self.say(RELEASE)
        return status == 0 and self.hear()[0] == 6

    def close(self) -> None:
        self.socket.close()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                break
            data += more
        return data


@contextmanager
def parrot(port: int, seconds: float = 10):
    bird = Parrot(port, seconds)
    try:
        yield bird
    finally:
        bird.close()
