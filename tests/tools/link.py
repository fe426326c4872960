"""One association as the tests see it: whole messages in and out over a blocking socket."""

import hashlib
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.tools import wire


@dataclass(frozen=True)
class Message:
    context: int
    command: dict
    data: bytes


@dataclass(frozen=True)
class Received:
    """An instance as it came off the wire."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    dataset: bytes
    command: dict

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.dataset).hexdigest()


class Link:
    """PDUs and messages over a connected socket."""

    def __init__(self, sock: socket.socket, timeout_seconds: float) -> None:
        sock.settimeout(timeout_seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self._file = sock.makefile("rb", buffering=1 << 18)
        self.peer_max_pdu = 16384

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def send_pdu(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def read_pdu(self) -> tuple[int, bytes]:
        head = self._exactly(6)
        kind, _, length = struct.unpack(">BBI", head)
        body = self._exactly(length)
        if kind == wire.ABORT:
            raise wire.GoneError(f"aborted, source {body[2]}, reason {body[3]}")
        return kind, body

    def send(self, context: int, fields: dict, data: bytes | Iterable[bytes] | None = None) -> None:
        has_data = data is not None
        fields = {"CommandDataSetType": 1 if has_data else wire.NO_DATA_SET, **fields}
        head = b"".join(self._fragments(context, 1, [wire.command(fields)]))
        if isinstance(data, (bytes, bytearray, memoryview)):
            data = [data]
        self.socket.sendall(head)
        for part in self._fragments(context, 0, data) if has_data else ():
            self.socket.sendall(part)

    def receive(self) -> Message | None:
        """The next whole message; None when the peer asks for release (and it was answered)."""
        context, command, parts, data = 0, None, [], []
        while True:
            kind, body = self.read_pdu()
            if kind == wire.RELEASE_RQ:
                self.send_pdu(wire.pdu(wire.RELEASE_RP, bytes(4)))
                return None
            if kind != wire.DATA:
                raise wire.GoneError(f"unexpected PDU {kind}")
            for context, control, fragment in wire.pdvs(body):
                (parts if control & 1 else data).append(fragment)
                if control & 2:
                    if control & 1:
                        command = wire.read_command(b"".join(parts))
                    done = not control & 1 or command["CommandDataSetType"] == wire.NO_DATA_SET
                    if done:
                        return Message(context, command, b"".join(data))

    def _fragments(self, context: int, kind: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        limit = (min(self.peer_max_pdu, 1 << 20) - 6) & ~1
        pieces = (
            memoryview(chunk)[at : at + limit] for chunk in chunks for at in range(0, len(chunk), limit)
        )
        held = next(pieces, b"")
        for piece in pieces:
            yield self._p_data(context, kind, held)
            held = piece
        yield self._p_data(context, kind | 2, held)

    @staticmethod
    def _p_data(context: int, control: int, piece: bytes) -> bytes:
        return wire.pdu(wire.DATA, struct.pack(">IBB", len(piece) + 2, context, control) + bytes(piece))

    def _exactly(self, count: int) -> bytes:
        raw = self._file.read(count)
        if raw is None or len(raw) != count:
            raise wire.GoneError("closed by the peer")
        return raw
