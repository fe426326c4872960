"""Around the application: bodies bounded in length and time, failures without words, headers for all."""

import re
import time
from asyncio import timeout
from collections.abc import Callable
from http import HTTPStatus

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dgis.web import problems
from dgis.web.connection import CUT
from dgis.web.limits import Limits
from dgis.web.rates import Buckets, network_of, retry_after

_log = structlog.get_logger(__name__)

_POLICY = (
    b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
_HEADERS = (
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)
_UNLESS_SAID = (
    (b"cache-control", b"no-store"),  # but for what is the same for everybody
    (b"content-security-policy", _POLICY),
    (b"referrer-policy", b"no-referrer"),
)
_HTTPS_HEADER = (b"strict-transport-security", b"max-age=31536000")
_STUDIES = re.compile(r"/dicom-web/studies(?:/[^/]*)?")
_TOO_LONG = (413, "too_long", "the body is longer than any request here needs")
_TOO_MANY = (429, "too_many", "this address asks more often than is answered; ask again later")
_TOO_SLOW = (408, "too_slow", "the body did not arrive in time")

Refused = Callable[[str, str], None]
"""Told of the address and the reason where a request is refused and no other record says so."""


class Bounds:
    """An ASGI application around another one."""

    def __init__(
        self, inner: ASGIApp, limits: Limits, refused: Refused, addresses: Buckets | None = None
    ) -> None:
        self._inner = inner
        self._limits = limits
        self._refused = refused
        self._addresses = addresses or Buckets(0, 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        exchange = _Exchange(scope, receive, send, self._limits)
        wait = self._addresses.take(network_of(exchange.address))
        try:
            if wait:
                await exchange.answer(*_TOO_MANY, (b"retry-after", retry_after(wait).encode()))
            elif exchange.announced_bytes > exchange.most_bytes:
                await exchange.answer(*_TOO_LONG)
            else:
                await self._inner(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            pass  # nobody is there to be answered
        except Exception:  # noqa: BLE001 (the next request is none the worse)
            _log.exception("request_failed", method=scope["method"], route=_route(scope))
            await exchange.answer(*problems.FAILED)
        refusal = exchange.refusal or _refusal(scope, exchange.status)
        if refusal:
            self._refused(exchange.address, refusal)
        if not exchange.complete:
            exchange.cut()


class _Exchange:
    """One request and its answer, whose status is decided once."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self._receive = receive
        self._send = send
        self._limits = limits
        self.most_bytes = limits.store_bytes if _stores(scope) else limits.body_bytes
        self._begun = self._over = False
        self._all_here = False
        self._received = 0
        self._waited_seconds = 0.0
        self._headers = [*_HEADERS, _HTTPS_HEADER] if scope["scheme"] == "https" else [*_HEADERS]
        self.address = scope["client"][0] if scope.get("client") else ""
        self.announced_bytes = _announced(scope)
        self.refusal = ""
        self.status = 0
        self.complete = False
        self.cut: Callable[[], None] = scope.get("state", {}).get(CUT, lambda: None)

    async def receive(self) -> Message:
        """Give the application the next piece of the body, or the end where it is too long or too slow."""
        if self._over:
            return {"type": "http.disconnect"}
        if self._all_here:  # nothing more is to come but the client's leaving, however long the answer takes
            return await self._receive()
        limits = self._limits
        budget = limits.body_grace_seconds + self._received / limits.body_bytes_per_second
        began = time.monotonic()
        try:
            async with timeout(max(0.0, min(budget - self._waited_seconds, limits.body_idle_seconds))):
                message = await self._receive()
        except TimeoutError:
            return await self._refuse(_TOO_SLOW)
        self._waited_seconds += time.monotonic() - began
        self._received += len(message.get("body", b""))
        self._all_here = not message.get("more_body", False)
        if self._received > self.most_bytes:
            return await self._refuse(_TOO_LONG)
        return message

    async def send(self, message: Message) -> None:
        """Pass the application's answer on, unless one was given in its place."""
        if self._over:
            return
        if message["type"] == "http.response.start":
            self._begun, self.status = True, message["status"]
            said = message.get("headers", [])
            names = {name.lower() for name, _value in said}
            missing = (each for each in _UNLESS_SAID if each[0] not in names)
            message = {**message, "headers": [*said, *missing, *self._headers]}
        elif not message.get("more_body", False):
            self.complete = True
        await self._send(message)

    async def answer(self, status: int, reason: str, detail: str, *further: tuple[bytes, bytes]) -> None:
        """Answer in the application's place, where it has not begun to."""
        if self._begun:
            return
        body = problems.encoded(status, reason, detail)
        length = str(len(body)).encode()
        headers = [(b"content-type", problems.MEDIA_TYPE.encode()), (b"content-length", length), *further]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})
        self._over, self.refusal = True, reason

    async def _refuse(self, problem: tuple[int, str, str]) -> Message:
        await self.answer(*problem)
        self._over = True
        return {"type": "http.disconnect"}


def _refusal(scope: Scope, status: int) -> str:
    """Return why the application refused a request; nothing where it did not, or has recorded it."""
    if status < HTTPStatus.BAD_REQUEST:
        return ""
    words: str = scope.get("state", {}).get("refusal", HTTPStatus(status).phrase)
    return words


def _stores(scope: Scope) -> bool:
    """Whether a request brings images: the one kind whose body is as long as they are."""
    return bool(scope["method"] == "POST" and _STUDIES.fullmatch(scope["path"]))


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:18])
    return 0


def _route(scope: Scope) -> str:
    """Return the route's own pattern; what stands in a path is the client's text."""
    return str(getattr(scope.get("route"), "path", ""))
