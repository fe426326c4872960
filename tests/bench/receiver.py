"""A C-STORE provider that drops what it gets: what a retrieve is received with."""

import socket
import threading
import time
from typing import Self

from tests.bench.association import Association
from tests.tools import wire


class Tally:
    """What has come: images, bytes, and when the first image was there."""

    def __init__(self) -> None:
        self.images = self.bytes = 0
        self.first: float | None = None

    def note(self, length: int) -> None:
        """Count one image."""
        if self.first is None:
            self.first = time.perf_counter()
        self.images += 1
        self.bytes += length


class Sink:
    """Listens while entered; `tally` may be replaced before each transfer."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.tally = Tally()

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_details) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # shut down
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        link = Association(accepted)
        try:
            kind, body = link.pdu()
            if kind != wire.RQ:
                return
            _accept(link, bytes(body))
            while True:
                context, command, length = link.message(keep=False)
                if command is None:
                    if context == wire.RELEASE_RQ:
                        accepted.sendall(wire.pdu(wire.RELEASE_RP, bytes(4)))
                    return
                self.tally.note(length)
                link.acknowledge(context, command)
        except OSError:
            return
        finally:
            accepted.close()


def _accept(link: Association, body: bytes) -> None:
    proposed = wire.proposed_contexts(body)
    answers = {
        number: (0, wire.EXPLICIT if wire.EXPLICIT in syntaxes else syntaxes[0])
        for number, (_, syntaxes) in proposed.items()
    }
    link.max_pdu = wire.peer_max_pdu(body)
    calling, called = body[20:36].decode().strip(), body[4:20].decode().strip()
    link.sock.sendall(wire.associate_ac(calling, called, answers))
