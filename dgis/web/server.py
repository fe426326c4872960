"""The listener of the web door: uvicorn in a thread of its own, on a socket that is bound beforehand."""

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from dgis.web.connection import BoundedConfig, BoundedConnection
from dgis.web.limits import Limits

_log = structlog.get_logger(__name__)
_BACKLOG = 256
_START_SECONDS = 30.0


class WebServer:
    """Serves an application until it is stopped."""

    def __init__(
        self, application: ASGIApp, limits: Limits, garbled: Callable[[str], None] = lambda _address: None
    ) -> None:
        self._application = application
        self._limits = limits
        self._garbled = garbled
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Open a port (0: any) and serve it from now on; return its number.

        Raises:
            OSError: the address cannot be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        number = int(listener.getsockname()[1])
        self._server = server = _Server(self._configured(), tls)
        self._thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True
        )
        self._thread.start()
        if not server.ready.wait(_START_SECONDS):
            raise OSError(errno.ETIMEDOUT, "the server did not start")
        return number

    def stop(self) -> None:
        """Accept nothing more, let running requests finish, cut what is left after `drain_seconds`."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(self._limits.drain_seconds + 1.0)

    def _configured(self) -> BoundedConfig:
        limits = self._limits
        configured = BoundedConfig(
            self._application,
            http=BoundedConnection,
            ws="none",
            lifespan="off",
            loop="asyncio",
            interface="asgi3",
            log_config=None,
            access_log=False,  # a line would show query strings
            proxy_headers=False,  # whoever connects is who connects
            server_header=False,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=limits.drain_seconds,
            h11_max_incomplete_event_size=limits.header_bytes,
        )
        configured.limits = limits
        configured.garbled = self._garbled
        return configured


class _Server(uvicorn.Server):
    """Starts listening with TLS of ours, handshakes bounded in time."""

    config: BoundedConfig

    def __init__(self, config: BoundedConfig, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve these sockets."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_in_words)
        seconds = None if self._tls is None else self.config.limits.header_seconds

        def connection() -> BoundedConnection:
            return BoundedConnection(self.config, self.server_state, {}, loop)

        self.servers = [
            await loop.create_server(
                connection,
                sock=each,
                ssl=self._tls,
                backlog=_BACKLOG,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=seconds,
            )
            for each in sockets or []
        ]
        self.started = True
        self.ready.set()


def _in_words(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong without the words of the exception: they may quote what a client sent."""
    error = context.get("exception")
    _log.warning("web_trouble", error=type(error).__name__ if error else "", exc_info=error)
