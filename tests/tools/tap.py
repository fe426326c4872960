"""A wire tap between a sender and the gateway: an independent journal of stores and answers."""

import hashlib
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

from tests.tools import wire


@dataclass(frozen=True)
class Sent:
    """One C-STORE as it crossed the wire; `status` is None while unanswered."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    sha256: str
    length: int
    status: int | None = None


class Tap:
    """Forwards TCP connections to `target` unchanged and reads along."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.journal: list[Sent] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def acknowledged(self) -> list[Sent]:
        """What was answered with success, in the order of the answers."""
        with self._lock:
            return [sent for sent in self.journal if sent.status == 0]

    def __enter__(self) -> Self:
        self._main = threading.Thread(target=self._listen, daemon=True)
        self._main.start()
        return self

    def __exit__(self, *_details) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._main.join()
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _listen(self) -> None:
        while True:
            try:
                sender, _ = self._listener.accept()
            except OSError:  # shut down
                return
            try:
                gateway = socket.create_connection(self._target, 10)
            except OSError:
                sender.close()
                continue
            for one in (sender, gateway):
                one.settimeout(None)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(
                target=_carry, args=(sender, gateway, _Watch(self.journal, self._lock)), daemon=True
            )
            self._threads.append(thread)
            thread.start()


class _Watch:
    """Reads the storage messages of one association."""

    def __init__(self, journal: list[Sent], lock: threading.Lock) -> None:
        self._journal, self._lock = journal, lock
        self._contexts: dict[int, str] = {}
        self._command = b""
        self._request: dict = {}
        self._digest, self._length = hashlib.sha256(), 0
        self._answer = b""
        self._waiting: dict[int, int] = {}  # message ID -> place in the journal

    def outgoing(self, kind: int, body: bytes) -> None:
        for context, control, fragment in wire.pdvs(body) if kind == wire.DATA else ():
            if control & 1:
                self._command += fragment
                if control & 2:
                    self._request, self._command = wire.read_command(self._command), b""
                continue
            self._digest.update(fragment)
            self._length += len(fragment)
            if control & 2:
                self._sent(context)

    def incoming(self, kind: int, body: bytes) -> None:
        if kind == wire.AC:
            self._contexts = wire.accepted_contexts(body)
        for _, control, fragment in wire.pdvs(body) if kind == wire.DATA else ():
            self._answer += fragment
            if control & 2:
                answer, self._answer = wire.read_command(self._answer), b""
                place = self._waiting.pop(answer.get("MessageIDBeingRespondedTo", -1), None)
                if place is not None:
                    with self._lock:
                        self._journal[place] = replace(self._journal[place], status=answer["Status"])

    def _sent(self, context: int) -> None:
        request = self._request
        sent = Sent(
            request["AffectedSOPClassUID"],
            request["AffectedSOPInstanceUID"],
            self._contexts[context],
            self._digest.hexdigest(),
            self._length,
        )
        self._digest, self._length = hashlib.sha256(), 0
        with self._lock:
            self._waiting[request["MessageID"]] = len(self._journal)
            self._journal.append(sent)


class _Pdus:
    """Cuts a byte stream into PDUs."""

    def __init__(self, read: Callable[[int, bytes], None]) -> None:
        self._read, self._buffer = read, bytearray()

    def add(self, chunk: bytes) -> None:
        self._buffer += chunk
        while len(self._buffer) >= 6:
            kind, _, length = struct.unpack_from(">BBI", self._buffer)
            if len(self._buffer) < 6 + length:
                return
            self._read(kind, bytes(self._buffer[6 : 6 + length]))
            del self._buffer[: 6 + length]


def _carry(sender: socket.socket, gateway: socket.socket, watch: _Watch) -> None:
    with sender, gateway:
        back = threading.Thread(target=_pump, args=(gateway, sender, watch.incoming), daemon=True)
        back.start()
        _pump(sender, gateway, watch.outgoing)
        back.join()


def _pump(source: socket.socket, sink: socket.socket, read: Callable[[int, bytes], None]) -> None:
    feed = _Pdus(read)
    with suppress(OSError):  # either side went away: the other is told below
        while chunk := source.recv(1 << 18):
            # Without it dcmtk's two writes a PDU wait 40 ms each for the delayed acknowledgement.
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            feed.add(chunk)
            sink.sendall(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
