"""An association for load: sockets and bytes, cheap enough that the sender is never what is measured."""

import socket
import struct
from collections.abc import Sequence
from typing import Self

from tests.tools import wire
from tests.tools.client import C_ECHO, C_FIND, C_STORE, PENDING, RESPONSE, VERIFICATION

_QUICK_ACK = getattr(socket, "TCP_QUICKACK", 12)
_HEAD = struct.Struct(">BBI")
_PDV = struct.Struct(">IBB")
_TIMEOUT_SECONDS = 300
_FALLBACK_MAX_PDU = 1 << 20

Address = tuple[str, int]
Contexts = Sequence[tuple[str, Sequence[str]]]


class Association:
    """One association, opened by making it; as requestor, or over an accepted socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(_TIMEOUT_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.accepted: dict[int, str] = {}
        self.max_pdu = _FALLBACK_MAX_PDU
        self._buffer = bytearray(1 << 20)
        self._start = self._end = 0

    @classmethod
    def request(
        cls, address: Address, calling: str, called: str, contexts: Contexts, provider_of: Sequence[str] = ()
    ) -> Self:
        """Connect and propose; contexts are numbered 1, 3, 5 in order.

        Raises:
            ConnectionError: it is not accepted.
        """
        own = cls(socket.create_connection(address, _TIMEOUT_SECONDS))
        proposed = {2 * place + 1: context for place, context in enumerate(contexts)}
        own.sock.sendall(wire.associate_rq(calling, called, proposed, provider_of))
        kind, body = own.pdu()
        if kind != wire.AC:
            raise ConnectionError(f"association answered with PDU {kind}")
        answer = bytes(body)
        own.accepted, own.max_pdu = wire.accepted_contexts(answer), wire.peer_max_pdu(answer)
        return own

    def pdu(self) -> tuple[int, memoryview]:
        """Read one PDU; what it holds is valid until the next call."""
        self._need(_HEAD.size)
        kind, _, length = _HEAD.unpack_from(self._buffer, self._start)
        self._need(_HEAD.size + length)
        at = self._start + _HEAD.size
        self._start = at + length
        return kind, memoryview(self._buffer)[at : at + length]

    def message(self, *, keep: bool = True) -> tuple[int, dict | None, bytes | int]:
        """Read one message: context, command and data set, or its length; command None at the end."""
        command: dict | None = None
        head, data, length = b"", [], 0
        while True:
            kind, body = self.pdu()
            if kind != wire.DATA:
                return kind, None, 0
            at = 0
            while at < len(body):
                size, context, control = _PDV.unpack_from(body, at)
                piece = body[at + _PDV.size : at + 4 + size]
                at += 4 + size
                if control & 1:
                    head += bytes(piece)
                else:
                    length += len(piece)
                    if keep:
                        data.append(bytes(piece))
                if control & 2:
                    if control & 1:
                        command = wire.read_command(head)
                    if not control & 1 or command["CommandDataSetType"] == wire.NO_DATA_SET:
                        return context, command, b"".join(data) if keep else length

    def echo(self, context: int = 1) -> None:
        """Ask for a C-ECHO and wait for its answer."""
        self.sock.sendall(message(context, self.max_pdu, _ECHO))
        _, command, _ = self.message()
        assert command["Status"] == 0

    def find(self, context: int, sop_class: str, identifier: bytes) -> int:
        """Ask, read every response to the end, and return how many matches there were."""
        fields = {"CommandField": C_FIND, "MessageID": 1, "AffectedSOPClassUID": sop_class, "Priority": 0}
        self.sock.sendall(message(context, self.max_pdu, fields, identifier))
        matches = 0
        while True:
            _, command, _ = self.message(keep=False)
            if command is None or command["Status"] not in PENDING:
                assert command is not None, "the association ended in the middle of a query"
                assert command["Status"] == 0, hex(command["Status"])
                return matches
            matches += 1

    def acknowledge(self, context: int, command: dict) -> None:
        """Answer a C-STORE request with success."""
        fields = {
            "CommandField": C_STORE | RESPONSE,
            "MessageIDBeingRespondedTo": command["MessageID"],
            "AffectedSOPClassUID": command["AffectedSOPClassUID"],
            "AffectedSOPInstanceUID": command["AffectedSOPInstanceUID"],
            "Status": 0,
        }
        self.sock.sendall(message(context, self.max_pdu, fields))

    def release(self) -> None:
        """Release, wait for the answer, and close."""
        self.sock.sendall(wire.pdu(wire.RELEASE_RQ, bytes(4)))
        self.pdu()
        self.sock.close()

    def _need(self, count: int) -> None:
        if self._end - self._start >= count:
            return
        rest = self._buffer[self._start : self._end]
        if len(self._buffer) - self._start < count or not rest:
            if len(self._buffer) < count:
                self._buffer = bytearray(count + (1 << 16))
            self._buffer[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        room = memoryview(self._buffer)
        while self._end - self._start < count:
            self.sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)  # it does not stay armed
            got = self.sock.recv_into(room[self._end :])
            if not got:
                raise ConnectionError("closed by the peer")
            self._end += got


def message(context: int, max_pdu: int, fields: dict, data: bytes | None = None) -> bytes:
    """Return the PDUs of one message, ready for one send."""
    fields = {"CommandDataSetType": wire.NO_DATA_SET if data is None else 1, **fields}
    whole = [_p_data(context, 3, wire.command(fields))]
    if data is not None:
        step = min(max_pdu, _FALLBACK_MAX_PDU) - 6
        last = max(len(data) - 1, 0) // step * step
        view = memoryview(data)
        whole += [
            _p_data(context, 2 if at == last else 0, view[at : at + step]) for at in range(0, last + 1, step)
        ]
    return b"".join(whole)


def store_message(context: int, max_pdu: int, sop_class: str, uid: str, dataset: bytes) -> bytes:
    """Return a C-STORE request as one block of bytes."""
    fields = {
        "CommandField": C_STORE,
        "MessageID": 1,
        "AffectedSOPClassUID": sop_class,
        "AffectedSOPInstanceUID": uid,
        "Priority": 0,
    }
    return message(context, max_pdu, fields, dataset)


def _p_data(context: int, control: int, piece: bytes | memoryview) -> bytes:
    head = wire.pdu(wire.DATA, b"")[:2] + struct.pack(">I", len(piece) + 6)
    return head + _PDV.pack(len(piece) + 2, context, control) + bytes(piece)


_ECHO = {"CommandField": C_ECHO, "MessageID": 1, "AffectedSOPClassUID": VERIFICATION}
