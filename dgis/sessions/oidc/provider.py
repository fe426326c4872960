"""One provider: codes and refresh tokens turned into tokens that the catalog's own rules have verified."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote_plus

from catalog.credentials.issuers import TokenIssuer
from catalog.credentials.tokens import verify_token
from catalog.credentials.values import Judgement, Reason, Rejected, Verified
from dgis.sessions.oidc.fetching import Fetcher, ProviderAway
from dgis.sessions.oidc.flow import Begun, Client, claims_of, unfit
from dgis.sessions.oidc.metadata import Discovered

_OK = 200
_REFUSED = range(400, 500)


@dataclass(frozen=True, slots=True)
class Proven:
    """What a provider gave: who that is, and what a session holds to prove it again."""

    who: Verified
    held: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of `[[identity.issuers]]` that this site is a client of.

    `trusted` is how its bearer tokens are verified: the same keys and names count here.
    """

    client: Client
    trusted: TokenIssuer
    metadata: Discovered
    fetcher: Fetcher
    clock_ms: Callable[[], int]

    def finish(self, begun: Begun, code: str) -> Proven | Rejected:
        """Redeem a code.

        Raises:
            ProviderAway: the provider does not answer.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect,
            "code_verifier": begun.verifier,
        }
        said = self._tokens(form)
        return said if isinstance(said, Rejected) else self._proven(said, begun.nonce, {})

    def renew(self, held: Mapping[str, str]) -> Proven | Rejected:
        """Get new tokens for a session.

        Raises:
            ProviderAway: the provider does not answer.
        """
        said = self._tokens({"grant_type": "refresh_token", "refresh_token": held["refresh"]})
        return said if isinstance(said, Rejected) else self._proven(said, None, held)

    def judge(self, held: Mapping[str, str]) -> Judgement:
        """Verify what a session holds as a bearer token would be, now."""
        return self._judged(held["token"])

    def _judged(self, token: str) -> Judgement:
        trusted = self._of_identity() if self.client.by == "id" else self.trusted
        return verify_token(token.encode(), {self.client.issuer: trusted}, self.clock_ms() // 1000)

    def _of_identity(self) -> TokenIssuer:
        """How identity tokens are verified: they are meant for the client (OpenID Connect Core 3.1.3.7)."""
        issuer = replace(self.trusted.issuer, audiences=frozenset({self.client.client_id}))
        return replace(self.trusted, issuer=issuer)

    def _proven(
        self, said: Mapping[str, Any], nonce: str | None, before: Mapping[str, str]
    ) -> Proven | Rejected:
        identity, access = said.get("id_token"), said.get("access_token")
        access = access if isinstance(access, str) else None
        if isinstance(identity, str):
            now_s = self.clock_ms() // 1000
            judged = verify_token(identity.encode(), {self.client.issuer: self._of_identity()}, now_s)
            if isinstance(judged, Rejected):
                return judged
            reason = unfit(identity, access, self.client, nonce)
            if reason is not None:
                return Rejected(reason)
        elif nonce is not None or self.client.by == "id":
            return Rejected(Reason.INCOMPLETE)
        token = identity if self.client.by == "id" else access
        if not isinstance(token, str):
            return Rejected(Reason.INCOMPLETE)
        judged = self._judged(token)
        if isinstance(judged, Rejected):
            return judged
        claims = claims_of(token)
        subject = str(claims.get("sub"))
        subjects = {subject, before.get("subject", subject)}
        if isinstance(identity, str):
            subjects.add(str(claims_of(identity).get("sub")))
        if len(subjects) > 1:
            return Rejected(Reason.MIXED_UP)
        refresh = said.get("refresh_token", before.get("refresh"))
        held = {
            "issuer": self.client.issuer,
            "subject": subject,
            "token": token,
            "got_s": str(self.clock_ms() // 1000),
            "until_s": str(int(claims["exp"])),
        }
        return Proven(judged, held | ({"refresh": refresh} if isinstance(refresh, str) else {}))

    def _tokens(self, form: Mapping[str, str]) -> Mapping[str, Any] | Rejected:
        """Ask the token endpoint; the client proves itself as RFC 6749 2.3.1 says."""
        metadata, client = self.metadata(), self.client
        auth = None
        if client.secret is None:
            form = {**form, "client_id": client.client_id}
        elif metadata.by_post:
            form = {**form, "client_id": client.client_id, "client_secret": client.secret}
        else:
            auth = quote_plus(client.client_id), quote_plus(client.secret)
        answer = self.fetcher.post(metadata.token_endpoint, form, auth)
        if answer.status == _OK:
            return answer.said
        if answer.status in _REFUSED:
            return Rejected(Reason.PROVIDER)
        raise ProviderAway
