"""The worker's side of the keyholder socket: the only way anything leaves that needs a key."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

import structlog

from dgis.keyholder import protocol
from dgis.keyholder.address import socket_address
from dgis.keyholder.client import NotRestored, Restored
from dgis.keyholder.issue import IssueRequest
from dgis.keyholder.protocol import (
    Identifiers,
    KeyholderGone,
    Keys,
    PseudonymsRequest,
    Request,
    RestoreRequest,
)
from dgis.keyholder.registry import Registry

_log = structlog.get_logger(__name__)

Restore = Callable[[RestoreRequest], Iterator[Restored | NotRestored]]
Pseudonymise = Callable[[Identifiers], Keys]

_PEER_SECONDS = 300.0  # a door that takes nothing for this long has gone
_BACKLOG = 64
_ACCEPT_PAUSE_SECONDS = 0.2


class KeyholderServer:
    """Listens on a Unix socket and answers each connection in a thread of its own."""

    def __init__(
        self,
        socket_path: Path,
        restore: Restore,
        pseudonymise: Pseudonymise,
        registry: Registry | None = None,
    ) -> None:
        self._path = socket_path
        self._restore = restore
        self._pseudonymise = pseudonymise
        self._registry = registry
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._inode = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and begin to answer.

        Not a moment apart: a door asks within a transaction, and a worker that listens but must still write
        to the database before it answers would wait for that door, and the door for it.
        """
        listener = self._listener = self._listen()
        self._inode = self._path.stat().st_ino
        self._thread = threading.Thread(
            target=self._accept_loop, args=(listener,), name="keyholder-accept", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Take no further request; those under way end with the process. Nothing where it never started."""
        self._stopping.set()
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accept
        self._thread.join()
        self._listener.close()
        with suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # a worker that took over keeps its own
                self._path.unlink()

    def _listen(self) -> socket.socket:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            with socket_address(temporary) as address:
                listener.bind(address)
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        temporary.rename(self._path)  # a worker that starts anew takes over from one that died
        return listener

    def _accept_loop(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError as error:  # `stop` shut the listener down, or no descriptor is left just now
                if not self._stopping.wait(_ACCEPT_PAUSE_SECONDS):
                    _log.warning("keyholder_accept_failed", errno=error.errno)
                continue
            connection.settimeout(_PEER_SECONDS)
            threading.Thread(target=self._serve, args=(connection,), name="keyholder", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while (request := protocol.receive_request(connection)) is not None:
                    self._answer(connection, request)
            except (OSError, ValueError, KeyholderGone) as error:
                _log.warning("keyholder_connection_ended", error=type(error).__name__)
            except Exception:  # noqa: BLE001 (one request must not end the service for the others)
                _log.exception("keyholder_request_failed")

    def _answer(self, connection: socket.socket, request: Request) -> None:
        if isinstance(request, RestoreRequest):
            self._answer_restore(connection, request)
            return
        if isinstance(request, PseudonymsRequest):
            _send(connection, protocol.DONE, [astuple(self._pseudonymise(each)) for each in request.of])
        elif self._registry is None:
            raise ValueError("nobody issues credentials here")
        elif isinstance(request, IssueRequest):
            _send(connection, *self._registry.issue(request))
        else:
            _send(connection, protocol.DONE, self._registry.root())

    def _answer_restore(self, connection: socket.socket, request: RestoreRequest) -> None:
        for answer in self._restore(request):
            if isinstance(answer, NotRestored):
                words = answer.reason.encode()
                protocol.send_answer_head(connection, protocol.REFUSED, len(words))
                connection.sendall(words)
                continue
            protocol.send_answer_head(connection, protocol.DONE, answer.length)
            for chunk in answer.chunks:
                connection.sendall(chunk)


def _send(connection: socket.socket, status: int, answer: object) -> None:
    said = json.dumps(answer).encode()
    protocol.send_answer_head(connection, status, len(said))
    connection.sendall(said)
