"""Who asks, over HTTP: what a request presents is judged, recorded, and refused with a reason."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import Request

from catalog.audit.values import Event, Happening, Outcome
from catalog.callers import Caller
from catalog.credentials.values import Reason, Rejected, Verified
from catalog.release import named
from dgis.identity.addresses import is_loopback
from dgis.identity.authenticate import Authenticator, Stranger
from dgis.identity.requests import JWT, KERBEROS, PASSCODE, SAML, Presented, identity_of
from dgis.trail.recorder import Recorder
from dgis.web.connection import CERTIFICATE
from dgis.web.problems import Problem

_log = structlog.get_logger(__name__)

# Passcodes take long on purpose, and keys may have to be fetched: neither keeps others from being judged.
_PASSCODES_AT_ONCE = 2
_OTHERS_AT_ONCE = 16
_RECORDED_FOR_SECONDS = 300.0  # one row for whoever goes on asking, as for an association that stands
_MOST_RECORDED = 10_000
_RETRY_SECONDS = "10"

_BASIC = 'Basic realm="dgis", charset="UTF-8"'
_KINDS = {PASSCODE: "passcode", KERBEROS: "kerberos", SAML: "saml", JWT: "jwt"}


class Logins:
    """Judges what requests present; one for all requests of a door."""

    def __init__(
        self, authenticator: Authenticator, recorder: Recorder, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._authenticator = authenticator
        self._recorder = recorder
        self._clock = clock
        self._lock = threading.Lock()
        self._recorded: dict[bytes, float] = {}
        self._passcodes = CapacityLimiter(_PASSCODES_AT_ONCE)
        self._others = CapacityLimiter(_OTHERS_AT_ONCE)

    async def admit(self, request: Request) -> Verified:
        """Return who makes a request.

        Raises:
            Problem: 401 where it does not prove who it is; 503 where that cannot be judged now.
        """
        presented = presented_by(request)
        if isinstance(presented, Rejected):
            raise self.refused(presented, address_of(request), "")
        passcode = presented.identity is not None and presented.identity.kind == PASSCODE
        limiter = self._passcodes if passcode else self._others
        judged = await to_thread.run_sync(
            self._authenticator.authenticate_request, presented, limiter=limiter
        )
        kind = kind_of(presented)
        if not isinstance(judged, Verified):
            raise self.refused(judged, presented.address, kind, offer_basic=presented.encrypted)
        self._admitted(judged, presented, kind)
        return judged

    def refused(
        self, judged: Rejected | Stranger, address: str, kind: str, *, offer_basic: bool = False
    ) -> Problem:
        """Record that somebody was turned away; return what to answer."""
        reason, words = ("", judged.words) if isinstance(judged, Stranger) else _named(judged.reason)
        _log.warning("request_not_admitted", kind=kind, reason=words)
        detail = {"door": "http", "kind": kind, "reason": reason or "no_credential"}
        self._recorder.add(Happening(Event.LOGIN, "", Outcome.MINOR_FAILURE, address, detail=dict(detail)))
        further = ["Negotiate"] if self._authenticator.takes_tickets else []
        return refusal(judged, [*further, _BASIC] if offer_basic else further)

    def _admitted(self, who: Verified, presented: Presented, kind: str) -> None:
        now, seen = self._clock(), _fingerprint(presented)
        with self._lock:
            if now - self._recorded.get(seen, float("-inf")) < _RECORDED_FOR_SECONDS:
                return
            if len(self._recorded) >= _MOST_RECORDED:
                self._recorded.clear()
            self._recorded[seen] = now
        caller = named(caller_of(who))
        detail = {"door": "http", "kind": kind}
        self._recorder.add(Happening(Event.LOGIN, caller, address=presented.address, detail=dict(detail)))


def caller_of(who: Verified) -> Caller:
    """Return a verified principal as the catalog decides about it."""
    return Caller(who.name, who.assertions, who.may)


def presented_by(request: Request) -> Presented | Rejected:
    """Return what a request presents: its certificate and its Authorization field."""
    identity = identity_of([value for name, value in request.scope["headers"] if name == b"authorization"])
    if isinstance(identity, Rejected):
        return identity
    address = address_of(request)
    certificate = getattr(request.state, CERTIFICATE, None)
    encrypted = request.url.scheme == "https" or is_loopback(address)
    return Presented(address, identity, certificate, encrypted)


def kind_of(presented: Presented) -> str:
    """Return the kind of what is presented, as the trail names it."""
    kinds = ["certificate"] if presented.certificate is not None else []
    if presented.identity is not None:
        kinds.append(_KINDS.get(presented.identity.kind, "other"))
    return " and ".join(kinds)


def refusal(judged: Rejected | Stranger, further: Sequence[str]) -> Problem:
    """Return the answer to what did not prove who it is; `further` are schemes it may try beside Bearer.

    That an account rests is not told: it would tell that there is one of that name.
    """
    if isinstance(judged, Rejected) and judged.reason is Reason.KEYS_AWAY:
        return Problem(503, "keys_away", judged.reason.value, {"Retry-After": _RETRY_SECONDS}, recorded=True)
    others = "".join(f", {scheme}" for scheme in further)
    if isinstance(judged, Stranger):
        return _unauthorized("no_credential", judged.words, f'Bearer realm="dgis"{others}')
    hidden = Reason.UNKNOWN_ACCOUNT if judged.reason is Reason.LOCKED else judged.reason
    reason, words = _named(hidden)
    said = f'Bearer realm="dgis", error="invalid_token", error_description="{words}"{others}'
    return _unauthorized(reason, words, said)


def _unauthorized(reason: str, words: str, challenge: str) -> Problem:
    return Problem(401, reason, words, {"WWW-Authenticate": challenge}, recorded=True)


def _named(reason: Reason) -> tuple[str, str]:
    return reason.name.lower(), reason.value


def address_of(request: Request) -> str:
    """Return the IP address of whoever asks."""
    return request.client.host if request.client else ""


def _fingerprint(presented: Presented) -> bytes:
    """Return what stands for a credential at an address, in memory only."""
    identity = presented.identity
    said = (identity.primary, identity.secondary) if identity else (b"", b"")
    parts = (presented.address.encode(), presented.certificate or b"", *said)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()
