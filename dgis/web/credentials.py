"""`/api/credential` and `/api/saml/acs`: a login turned into a short-lived credential of the grid."""

import base64
import threading
import time
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from catalog.credentials.authority import LONGEST_SECONDS
from catalog.credentials.values import Reason, Rejected
from dgis.dimse.proposal import UserIdentity
from dgis.identity.authenticate import Stranger
from dgis.identity.issued import Issued
from dgis.identity.requests import SAML, Presented
from dgis.identity.signing_requests import LONGEST_REQUEST, NoKey, requested_key
from dgis.keyholder.client import KeyholderClient
from dgis.keyholder.issue import IssueRequest
from dgis.keyholder.protocol import KeyholderGone
from dgis.web.configuration import ACS_PATH
from dgis.web.logins import Logins, address_of, kind_of, presented_by
from dgis.web.problems import Problem

_BEARER = "Bearer"
_HOURS = 8 * 3600
_AT_ONCE = 4  # each takes a thread here and one of the worker
_ROOT_KEPT_SECONDS = 300.0


class CredentialWanted(BaseModel):
    """What is wanted for the login that the request presents, or for a SAML assertion in it."""

    model_config = ConfigDict(extra="forbid")

    seconds: Annotated[int, Field(gt=0, le=LONGEST_SECONDS, strict=True)] = _HOURS
    request: Annotated[
        str | None,
        Field(max_length=LONGEST_REQUEST, description="PKCS #10 in PEM: a certificate, instead of a token"),
    ] = None
    assertion: Annotated[
        str | None, Field(max_length=131_072, description="SAML 2.0 assertion or response, base64")
    ] = None


class CredentialGiven(BaseModel):
    """A token (as RFC 6749 5.1 writes it) or a certificate in PEM, and the seconds it lives."""

    token_type: str | None = None
    access_token: str | None = None
    certificate: str | None = None
    expires_in: int


class Issuing:
    """Takes logins to the worker, which verifies them; one for all requests of a door."""

    def __init__(
        self, keyholder: KeyholderClient, logins: Logins, clock_ms: Callable[[], int], acs: str | None
    ) -> None:
        self._keyholder = keyholder
        self._logins = logins
        self._clock_ms = clock_ms
        self._acs = acs
        self._limiter = CapacityLimiter(_AT_ONCE)
        self._lock = threading.Lock()
        self._root: tuple[float, dict[str, Any]] | None = None

    async def issue(self, request: Request, wanted: CredentialWanted) -> CredentialGiven:
        """Give a credential for the login of a request.

        Raises:
            Problem: 400 where it is not one login and one key; else as `Logins.admit`.
        """
        presented = presented_by(request)
        if isinstance(presented, Rejected):
            raise self._logins.refused(presented, address_of(request), "")
        if wanted.assertion is not None:
            presented = _with_assertion(presented, _document(wanted.assertion), None)
        key = None if wanted.request is None else _key(wanted.request)
        return await self._exchanged(IssueRequest(presented, wanted.seconds, key))

    async def consume(self, request: Request) -> CredentialGiven:
        """Give a token for a SAML response that a browser posts (SAML bindings 3.5).

        Raises:
            Problem: as `issue`.
        """
        if self._acs is None:
            raise Problem(404, "not_configured", "web.url says where responses are posted to")
        found = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=8)
        documents = found.get("SAMLResponse", [])
        if len(documents) != 1:
            raise Problem(400, "malformed", "one field SAMLResponse is posted here")
        plain = Presented(address_of(request), encrypted=True)
        presented = _with_assertion(plain, _document(documents[0]), self._acs)
        return await self._exchanged(IssueRequest(presented, _HOURS))

    def root(self) -> dict[str, Any]:
        """Return what credentials of the grid are verified with; the worker is asked every few minutes.

        Raises:
            Problem: 503 where no worker answers.
        """
        with self._lock:
            now = time.monotonic()
            if self._root is None or now - self._root[0] > _ROOT_KEPT_SECONDS:
                try:
                    self._root = now, self._keyholder.root()
                except KeyholderGone:
                    raise _worker_away() from None
            return self._root[1]

    async def _exchanged(self, asked: IssueRequest) -> CredentialGiven:
        try:
            made = await to_thread.run_sync(self._keyholder.issue, asked, limiter=self._limiter)
        except KeyholderGone:
            raise _worker_away() from None
        if not isinstance(made, Issued):
            refused = Rejected(Reason[made.reason]) if made.reason else Stranger(made.words)
            who = asked.presented
            raise self._logins.refused(refused, who.address, kind_of(who), offer_basic=who.encrypted)
        seconds = made.until_s - self._clock_ms() // 1000
        if asked.public_key is None:
            return CredentialGiven(token_type=_BEARER, access_token=made.credential, expires_in=seconds)
        return CredentialGiven(certificate=made.credential, expires_in=seconds)


def routes(issuing: Issuing) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", tags=["identity"])

    @router.post("/credential", response_model_exclude_none=True)
    async def credential(request: Request, wanted: CredentialWanted) -> CredentialGiven:
        """Turn a login (bearer token, passcode, client certificate, SAML) into a credential of the grid."""
        return await issuing.issue(request, wanted)

    @router.post(ACS_PATH.removeprefix("/api"), response_model_exclude_none=True)
    async def acs(request: Request) -> CredentialGiven:
        """Take the SAML response that a browser brings from its identity provider."""
        return await issuing.consume(request)

    @router.get("/credential/root")
    def root() -> dict[str, Any]:
        """Give to everybody what credentials of the grid are verified with."""
        return issuing.root()

    return router


def _with_assertion(presented: Presented, document: bytes, recipient: str | None) -> Presented:
    if presented.identity is not None:
        raise Problem(400, "two_logins", "log in by the Authorization field or by an assertion, not by both")
    identity = UserIdentity(SAML, document)
    return Presented(presented.address, identity, presented.certificate, presented.encrypted, recipient)


def _document(encoded: str) -> bytes:
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        raise Problem(400, "malformed", "the assertion is not in base64") from None


def _key(request: str) -> bytes:
    try:
        key = requested_key(request)
    except NoKey as error:
        raise Problem(400, "no_key", str(error)) from None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _worker_away() -> Problem:
    return Problem(
        503, "worker_away", "the process that issues credentials does not answer", {"Retry-After": "10"}
    )
