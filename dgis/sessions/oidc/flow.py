"""The authorization code flow with PKCE as values (OpenID Connect Core 1.0 3.1, RFC 7636, 9207, 9700)."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from joserfc import jws

from catalog.credentials.values import Reason, Rejected
from dgis.sessions.oidc.metadata import Metadata

CALLBACK_PATH = "/login/callback"
_LONGEST_CODE = 4096
_OFFLINE = "offline_access"
# Of the digest in at_hash, by the algorithm that signs (OpenID Connect Core 3.1.3.6); EdDSA signs by SHA-512.
_DIGESTS = {"256": "sha256", "384": "sha384", "512": "sha512"}


@dataclass(frozen=True, slots=True)
class Client:
    """This site as a provider knows it; `by` says which of its tokens states who somebody is."""

    issuer: str
    client_id: str
    name: str
    scopes: tuple[str, ...] = ("openid",)
    by: str = "id"
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """A login under way: what the browser's cookie keeps closed until the answer comes."""

    issuer: str
    redirect: str
    back: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    def held(self) -> dict[str, str]:
        """Return it as a session holds it."""
        return {name: str(getattr(self, name)) for name in self.__slots__}

    def address(self, client: Client, metadata: Metadata) -> str:
        """Return where the browser is sent; nothing in it lets anybody finish the login but this browser."""
        challenge = hashlib.sha256(self.verifier.encode()).digest()
        asked = {
            "client_id": client.client_id,
            "response_type": "code",
            "scope": " ".join(client.scopes),
            "redirect_uri": self.redirect,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": _base64url(challenge),
            "code_challenge_method": "S256",
        }
        # OpenID Connect Core 11: without that a provider ignores the wish for a refresh token.
        prompt = {"prompt": "consent"} if _OFFLINE in client.scopes else {}
        return with_query(metadata.authorization_endpoint, asked | prompt)

    def code_in(self, answer: Sequence[tuple[str, str]], metadata: Metadata) -> str | Rejected:
        """Return the code in what the browser brings back, where it is the answer to this login.

        Args:
            answer: (name, value) of the query; what comes twice says nothing certain.
            metadata: of the provider that was asked.
        """
        said = dict(answer)
        if len(said) != len(answer):
            return Rejected(Reason.MALFORMED)
        if not hmac.compare_digest(said.get("state", "").encode(), self.state.encode()):
            return Rejected(Reason.STATE)
        named = said.get("iss")
        if named != self.issuer and (named is not None or metadata.names_itself):
            return Rejected(Reason.MIXED_UP)
        code = said.get("code", "")
        if "error" in said or not 0 < len(code) <= _LONGEST_CODE:
            return Rejected(Reason.PROVIDER)
        return code


def unfit(id_token: str, access_token: str | None, client: Client, nonce: str | None) -> Reason | None:
    """Return what is wrong with an identity token whose signature, issuer and times are known to be right.

    `nonce` None: it renews a login, so that none is asked for (OpenID Connect Core 12.2).
    """
    claims = claims_of(id_token)
    if nonce is not None and not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        return Reason.NONCE
    audience, party = claims.get("aud"), claims.get("azp")
    several = isinstance(audience, list) and len(audience) > 1
    if (several or party is not None) and party != client.client_id:
        return Reason.AUDIENCE
    stated = claims.get("at_hash")
    if stated is not None and access_token is not None:
        algorithm = str(jws.extract_compact(id_token.encode()).headers().get("alg", ""))
        digest = hashlib.new(_DIGESTS.get(algorithm[-3:], "sha512"), access_token.encode()).digest()
        if not hmac.compare_digest(str(stated).encode(), _base64url(digest[: len(digest) // 2]).encode()):
            return Reason.SIGNATURE
    return None


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token that has been verified."""
    payload = jws.extract_compact(token.encode()).payload
    claims: dict[str, Any] = json.loads(payload or b"{}")
    return claims


def farewell(client: Client, metadata: Metadata, back: str) -> str | None:
    """Return where a provider ends its own session (OpenID Connect RP-Initiated Logout 1.0).

    Without `id_token_hint`: a token in an address is kept by everybody on the way. The provider asks instead.
    """
    if metadata.end_session_endpoint is None:
        return None
    said = {"client_id": client.client_id, "post_logout_redirect_uri": back}
    return with_query(metadata.end_session_endpoint, said)


def with_query(url: str, said: Mapping[str, str]) -> str:
    """Return a URL with more in its query."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *said.items()])
    return urlunsplit(parts._replace(query=query))


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
