"""The listeners of the DICOM door: one thread accepts, one thread serves each connection, nothing polls."""

import contextlib
import socket
import ssl
import threading

import structlog

from dgis.dimse.conversation import Conversation
from dgis.dimse.limits import Limits
from dgis.dimse.register import Register
from dgis.dimse.services import Services

_log = structlog.get_logger(__name__)
_BACKLOG = 256
_PAUSE_SECONDS = 0.1  # after a failed accept: out of file descriptors, say


class DicomServer:
    """Accepts associations until it is stopped. `listen` may be called more than once (plain and TLS)."""

    def __init__(self, services: Services, limits: Limits | None = None) -> None:
        self._services = services
        self._limits = limits or Limits()
        self._register = Register(self._limits)
        self._listeners: list[tuple[socket.socket, threading.Thread]] = []
        self._stopped = threading.Event()

    def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Open a port (0: any) and serve it from now on; return its number.

        Raises:
            OSError: the address cannot be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        thread = threading.Thread(target=self._accept, args=(listener, tls), name="dicom-accept", daemon=True)
        self._listeners.append((listener, thread))
        thread.start()
        return int(listener.getsockname()[1])

    def counts(self) -> tuple[int, int]:
        """Return how many connections have proposed nothing yet, and how many associations stand."""
        return self._register.counts()

    def stop(self, seconds: float = 10.0) -> bool:
        """Accept nothing more, let running operations finish, cut what is left after `seconds`.

        Returns:
            Whether every association ended by itself.
        """
        self._stopped.set()
        for listener, _ in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # lets the blocked accept return
            listener.close()
        clean = self._register.stop(seconds)
        for _, thread in self._listeners:
            thread.join(seconds)
        return self._register.wait_empty(1.0) and clean

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        while not self._stopped.is_set():
            try:
                accepted, peer = listener.accept()
            except OSError as error:
                if not self._stopped.is_set():
                    _log.warning("accept_failed", errno=error.errno)
                    self._stopped.wait(_PAUSE_SECONDS)
                continue
            self._start(accepted, str(peer[0]), tls)

    def _start(self, accepted: socket.socket, address: str, tls: ssl.SSLContext | None) -> None:
        conversation = Conversation((accepted, address), self._services, self._limits, self._register, tls)
        self._register.enter(conversation)
        try:
            threading.Thread(target=conversation.run, name="dicom", daemon=True).start()
        except RuntimeError:  # no more threads: this peer is turned away, the door stays open
            _log.warning("thread_refused")
            self._register.leave(conversation)
            accepted.close()
