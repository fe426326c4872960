"""A provider that a test turns as it likes: no socket, real signatures."""

from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
from joserfc import jwt

from dgis.sessions.oidc.fetching import Fetcher
from dgis.sessions.oidc.flow import Client
from dgis.sessions.oidc.metadata import Discovered
from dgis.sessions.oidc.provider import Provider
from tests.unit.catalog.credentials.makers import IDP, KEY, token_issuer

CLIENT = Client(IDP, "grid", "The hospital", ("openid",), "id", "s3cret/+")


class Idp:
    """`said` changes its discovery document, `claims` its identity tokens, `answers` what comes with them."""

    def __init__(self, clock):
        self.clock = clock
        self.said, self.claims, self.answers = {}, {}, {}
        self.key, self.away, self.status, self.refreshes = KEY, False, 200, 0
        self.asked = []

    def transport(self):
        return httpx.MockTransport(self._answer)

    def provider(self, client=CLIENT, trusted=None):
        fetcher = Fetcher(transport=self.transport())
        own = trusted or token_issuer()
        return Provider(client, own, Discovered(IDP, fetcher), fetcher, self.clock)

    def log_in(self, address, user="alice"):
        """What the browser brings back from the address that it was sent to."""
        asked = dict(parse_qsl(urlsplit(address).query))
        self.nonce, self.user = asked["nonce"], user
        return {"code": "c0de", "state": asked["state"], "iss": IDP}

    def _answer(self, request):
        if self.away:
            raise httpx.ConnectError("nobody")
        if request.url.path == "/.well-known/openid-configuration":
            return httpx.Response(200, json=self._document())
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.asked.append((form, request.headers.get("authorization")))
        if self.status != 200:
            return httpx.Response(self.status, json={"error": "invalid_grant"})
        refreshing = form["grant_type"] == "refresh_token"
        self.refreshes += refreshing
        nonce = {} if refreshing else {"nonce": self.nonce}
        now_s = self.clock() // 1000
        claims = {
            "iss": IDP,
            "sub": self.user,
            "aud": "grid",
            "iat": now_s,
            "exp": now_s + 300,
            "tenant": "Hospital A",
            **nonce,
            **self.claims,
        }
        signed = jwt.encode({"alg": "RS256", "kid": KEY.kid}, claims, self.key)
        given = {"access_token": f"opaque {self.refreshes}", "id_token": signed, "token_type": "Bearer"}
        return httpx.Response(200, json={**given, **self.answers})

    def _document(self):
        return {
            "issuer": IDP,
            "authorization_endpoint": f"{IDP}/authorize?tenant=1",
            "token_endpoint": f"{IDP}/token",
            "end_session_endpoint": f"{IDP}/leave",
            "authorization_response_iss_parameter_supported": True,
            **self.said,
        }
