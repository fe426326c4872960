"""One HTTP connection: uvicorn's, with deadlines, a bound on their number, and the client's certificate."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from dgis.web.limits import Limits

CERTIFICATE, CUT, GONE = "certificate", "cut", "gone"
"""In the state of a request: the client's certificate (DER) as TLS has verified it; what ends all of it; what
tells whether the client is gone."""

_numbers = count()


class BoundedConfig(uvicorn.Config):
    """What uvicorn is told, and what it does not know: limits, and who hears of requests that are none."""

    limits: Limits = Limits()
    garbled: Callable[[str], None] = staticmethod(lambda _address: None)


class BoundedConnection(H11Protocol):
    """Cuts clients that send their fields too slowly, do not take their answers, or are too many.

    uvicorn bounds how long a connection is idle, but neither how long a request takes to arrive nor how
    long an answer takes to leave.
    """

    def __init__(
        self,
        config: BoundedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = config.limits
        self.number = next(_numbers)  # in order of arrival
        self._garbled = config.garbled
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        """The IP address of the client."""
        return self.client[0] if self.client else ""

    @property
    def waits_for_fields(self) -> bool:
        """Whether no request is complete as far as its header fields."""
        cycle = cast(RequestResponseCycle | None, self.cycle)  # there is none before the first request
        return cycle is None or cycle.response_complete

    @property
    def waits_for_body(self) -> bool:
        """Whether the rest of a request's body is still to come."""
        return not self.waits_for_fields and self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take in a connection; another may be cut for it."""
        super().connection_made(transport)
        # asyncio does it itself only where the socket names its protocol, which create_server's does not;
        # fields and body leave in two writes, and the second would wait 40 ms for the client's delayed ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        self.app_state = {
            **self.app_state,
            CERTIFICATE: certificate,
            CUT: self.cut,
            GONE: transport.is_closing,
        }
        self._expect_fields()
        if len(self.connections) > self.limits.max_connections:
            _give_way(cast(set["BoundedConnection"], self.connections), self).cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._disarm()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Go on with what has arrived."""
        super().handle_events()
        if not self.waits_for_fields and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_response_complete(self) -> None:
        """Wait for the next request, if there is one; what is left of the answer must leave meanwhile."""
        super().on_response_complete()
        if self.waits_for_fields and self.conn.our_state is not h11.ERROR:
            self._expect_fields()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._garbled(self.address)
        super().send_400_response(msg)

    def pause_writing(self) -> None:
        """Hold the answer back, for a client that takes it slowly."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.limits.stalled_seconds, self.cut)

    def resume_writing(self) -> None:
        """Go on answering."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def shutdown(self) -> None:
        """End after what is being answered; a request that is not all here yet is none."""
        if self.waits_for_body:
            self.cut()
        else:
            super().shutdown()

    def cut(self) -> None:
        """End the connection now; nothing that waits to be sent is."""
        self.transport.abort()

    def _expect_fields(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(self.limits.header_seconds, self.cut)

    def _disarm(self) -> None:
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()
        self._deadline = self._stalled = None


def _give_way(connections: set[BoundedConnection], newest: BoundedConnection) -> BoundedConnection:
    """Return which connection is cut: one that keeps us waiting, of the address that has most of those.

    Whoever has asked is answered; where all have, the newest is turned away.
    """
    others = [each for each in connections if each is not newest]
    for rivals in (
        [each for each in others if each.waits_for_fields],
        [each for each in others if each.waits_for_body],
    ):
        if rivals:
            (most, _), *_ = Counter(each.address for each in rivals).most_common(1)
            return min((each for each in rivals if each.address == most), key=lambda each: each.number)
    return newest
