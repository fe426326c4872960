"""Who asks, over HTTP: what a request presents is judged, recorded, and refused with a reason."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import Request

from catalog.audit.values import Event, Happening, Outcome
from catalog.callers import Caller
from catalog.credentials.values import Judgement, Kind, Reason, Rejected, Verified
from catalog.release import named
from dgis.dimse.proposal import UserIdentity
from dgis.identity.addresses import is_loopback
from dgis.identity.authenticate import Authenticator, Stranger
from dgis.identity.authenticate import kind_of as kind_of_identity
from dgis.identity.requests import JWT, PASSCODE, Presented, identity_of
from dgis.parts import now_ms
from dgis.sessions.browsers import Browsers
from dgis.trail.recorder import Recorder
from dgis.web.configuration import RatesSection
from dgis.web.connection import CERTIFICATE
from dgis.web.problems import Problem
from dgis.web.rates import Rates, network_of, retry_after
from dgis.web.remembered import Remembered

_log = structlog.get_logger(__name__)

# Passcodes take long on purpose, and keys may have to be fetched: neither keeps others from being judged.
_PASSCODES_AT_ONCE = 2
_OTHERS_AT_ONCE = 16
_RECORDED_FOR_SECONDS = 300.0  # one row for whoever goes on asking, as for an association that stands
_MOST_RECORDED = 10_000
_RETRY_SECONDS = "10"

_BASIC = 'Basic realm="dgis", charset="UTF-8"'


class Logins:
    """Judges what requests present; one for all requests of a door."""

    def __init__(
        self,
        authenticator: Authenticator,
        recorder: Recorder,
        *,
        clock: Callable[[], float] = time.monotonic,
        browsers: Browsers | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._recorder = recorder
        self._clock = clock
        self._browsers = browsers
        self._rates = rates or Rates.of(RatesSection())
        self._lock = threading.Lock()
        self._recorded: dict[bytes, float] = {}
        self._passcodes = CapacityLimiter(_PASSCODES_AT_ONCE)
        self._others = CapacityLimiter(_OTHERS_AT_ONCE)
        self._remembered = Remembered(clock, now_ms)

    async def admit(self, request: Request) -> Verified:
        """Return who makes a request.

        Raises:
            Problem: 401 where it does not prove who it is; 403 where a cookie is all it brings and it changes
                something on behalf of another site's page; 503 where that cannot be judged now.
        """
        _presented, judged = await self._judged(request)
        return judged

    async def admit_account(self, request: Request) -> Verified:
        """Return which account makes a request: by its passcode, or in the session that began with that.

        Raises:
            Problem: as `admit`, and 403 where it is somebody else, or only a token of an account.
        """
        presented, judged = await self._judged(request)
        session = presented.session is not None and presented.session.kind is Kind.PASSCODE
        passcode = presented.identity is not None and presented.identity.kind == PASSCODE
        if presented.certificate is not None or not (session or passcode):
            raise Problem(403, "no_account", "only who logged in with the passcode of an account may do that")
        return judged

    async def _judged(self, request: Request) -> tuple[Presented, Verified]:
        self.check_refusals(address_of(request))
        presented = presented_by(request)
        if isinstance(presented, Rejected):
            raise self.refused(presented, address_of(request), "")
        known = self._remembered.find(presented)
        if known is not None:
            self.admitted(known, presented, kind_of(presented))
            self._bounded(known)
            return presented, known
        if presented.identity is None and self._browsers is not None:
            presented = await self._in_session(request, presented, self._browsers)
        passcode = presented.identity is not None and presented.identity.kind == PASSCODE
        limiter = self._passcodes if passcode else self._others
        judged = await to_thread.run_sync(
            self._authenticator.authenticate_request, presented, limiter=limiter
        )
        kind = kind_of(presented)
        if not isinstance(judged, Verified):
            # A page that asks in the background must not have the browser ask for a passcode itself.
            offer = presented.encrypted and "sec-fetch-site" not in request.headers
            raise self.refused(judged, presented.address, kind, offer_basic=offer)
        self.admitted(judged, presented, kind)
        self._remembered.proven(presented, judged)
        self._bounded(judged)
        return presented, judged

    def _bounded(self, who: Verified) -> None:
        wait = self._rates.callers.take(named(caller_of(who)))
        if wait:
            raise _too_many("you ask more often than is answered; ask again later", wait)

    def check_refusals(self, address: str) -> None:
        """Judge nothing from where too much has been refused: nobody guesses as fast as they can.

        Raises:
            Problem: 429.
        """
        wait = self._rates.refusals.wait(network_of(address))
        if wait:
            raise _too_many("too much that this address presented was refused; try again later", wait)

    async def _in_session(self, request: Request, presented: Presented, browsers: Browsers) -> Presented:
        secret = browsers.secret(request)
        if secret is None:
            return presented
        session = await to_thread.run_sync(browsers.sessions.judged, secret, limiter=self._others)
        if isinstance(session, Rejected):
            raise self.refused(session, presented.address, "session")
        return replace(presented, session=session)

    async def token(self, token: str, *, encrypted: bool) -> Judgement:
        """Judge a token of a form as that of a request."""
        check = partial(self._authenticator.judge, UserIdentity(JWT, token.encode()), encrypted=encrypted)
        return await to_thread.run_sync(check, limiter=self._others)

    async def passcode(self, name: str, passcode: str, *, changing: bool = False) -> Judgement:
        """Verify name and passcode of a form, as those of a request; `changing`: another one is chosen."""
        identity = UserIdentity(PASSCODE, name.encode(), passcode.encode())
        check = partial(self._authenticator.passcode, identity, changing=changing)
        return await to_thread.run_sync(check, limiter=self._passcodes)

    def refused(
        self, judged: Rejected | Stranger, address: str, kind: str, *, offer_basic: bool = False
    ) -> Problem:
        """Record that somebody was turned away; return what to answer."""
        reason, words = ("", judged.words) if isinstance(judged, Stranger) else _named(judged.reason)
        if isinstance(judged, Rejected) and judged.reason is not Reason.KEYS_AWAY:
            self._rates.refusals.take(network_of(address))
        _log.warning("request_not_admitted", kind=kind, reason=words)
        detail = {"door": "http", "kind": kind, "reason": reason or "no_credential"}
        self._recorder.add(Happening(Event.LOGIN, "", Outcome.MINOR_FAILURE, address, detail=dict(detail)))
        further = ["Negotiate"] if self._authenticator.takes_tickets else []
        return refusal(judged, [*further, _BASIC] if offer_basic else further)

    def admitted(self, who: Verified, presented: Presented, kind: str) -> None:
        """Record that somebody was admitted, once in a while for who goes on asking."""
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
    encrypted = request.scope["scheme"] == "https" or is_loopback(address)
    return Presented(address, identity, certificate, encrypted)


def kind_of(presented: Presented) -> str:
    """Return the kind of what is presented, as the trail names it."""
    kinds = ["certificate"] if presented.certificate is not None else []
    if presented.identity is not None:
        kinds.append(kind_of_identity(presented.identity) or "other")
    elif presented.session is not None:
        kinds.append(f"session by {presented.session.kind}")
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


def _too_many(words: str, wait: float) -> Problem:
    return Problem(429, "too_many", words, {"Retry-After": retry_after(wait)})


def _named(reason: Reason) -> tuple[str, str]:
    return reason.name.lower(), reason.value


def address_of(request: Request) -> str:
    """Return the IP address of whoever asks."""
    client = request.scope.get("client")
    return str(client[0]) if client else ""


def _fingerprint(presented: Presented) -> bytes:
    """Return what stands for a credential at an address, in memory only."""
    identity = presented.identity
    said = (identity.primary, identity.secondary) if identity else (b"", b"")
    if presented.session is not None:
        said = (b"session", presented.session.mark)
    parts = (presented.address.encode(), presented.certificate or b"", *said)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()
