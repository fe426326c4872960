"""Tokens of a real OpenID provider at both doors: found by discovery, verified, refused for their reasons."""

import base64
import hashlib
import hmac
import html
import json
import re
import secrets
import time
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from dgis.demo.files import write_files
from tests import dcmtk
from tests.engines.providers import free_port, oidc_provider
from tests.gateway import Gateway, wait_until
from tests.unit.catalog.credentials import makers

pytestmark = [pytest.mark.dcmtk, pytest.mark.timeout(300), pytest.mark.xdist_group("oidc-provider")]

US = "urn:dgis:test"
WS = {"ae_title": "WS", "may": ["store", "find", "retrieve", "phi"], "requires": ["jwt"]}
CALLBACK = "http://127.0.0.1:9/callback"


class Site:
    """A provider, a gateway that trusts it, and a second provider that nobody trusts."""

    def __init__(self, folder):
        self.folder = folder
        self.keys = {name: makers.rsa_key(name) for name in ("first", "second")}
        self.port = free_port()
        self.log = folder / "provider.log"
        self._running = None

    def start(self, name):
        self._running = oidc_provider(self.port, self.written(name), US, self.log)
        self.issuer = self._running.__enter__()

    def stop(self):
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None

    def written(self, name):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(KeySet([self.keys[name]]).as_dict(private=True)))
        return path

    def signed(self, claims, name="first", **header):
        """A token that the provider's own key signs with what a test wants in it."""
        return jwt.encode({"alg": "RS256", "kid": name, "typ": "at+jwt", **header}, claims, self.keys[name])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("oidc"))
    site.start("first")
    yield site
    site.stop()


@pytest.fixture(scope="module")
def gateway(site):
    names = {"institution": "tenant", "department": "groups"}
    issuer = {"kind": "oidc", "uri": site.issuer, "audiences": [US, "web"], "names": names}
    settings = {
        "DGIS__DICOM__PEERS": json.dumps([WS]),
        "DGIS__IDENTITY__ISSUERS": json.dumps([issuer]),
    }
    with Gateway(settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    write_files(folder, 1)
    return next(folder.rglob("*.dcm"))


def discovered(issuer):
    return httpx.get(f"{issuer}/.well-known/openid-configuration").json()


def for_itself(issuer, resource=US):
    """An access token by client credentials (RFC 6749 4.4)."""
    asked = {"grant_type": "client_credentials", "scope": "dicom.read", "resource": resource}
    answer = httpx.post(discovered(issuer)["token_endpoint"], auth=("svc", "svcsecret"), data=asked)
    return answer.raise_for_status().json()["access_token"]


def form(page):
    """Action and hidden fields of the page's form."""
    action = html.unescape(re.search(r'action="([^"]+)"', page.text)[1])
    return action, dict(re.findall(r'name="([^"]+)"\s+value="([^"]*)"', page.text))


def for_somebody(issuer, login):
    """The tokens of a person who logs in: authorization code with PKCE (RFC 7636), forms filled in."""
    known, verifier = discovered(issuer), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": "web",
        "response_type": "code",
        "scope": "openid dicom.read",
        "redirect_uri": CALLBACK,
        "state": "s",
        "nonce": "n",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(known["authorization_endpoint"], params=asked)
        action, fields = form(page)
        page = browser.post(action, data={**fields, "prompt": "login", "login": login, "password": "x"})
        action, fields = form(page)
        page = browser.post(action, data={**fields, "prompt": "consent"}, follow_redirects=False)
        while not page.headers["location"].startswith(CALLBACK):
            page = browser.get(urljoin(issuer, page.headers["location"]), follow_redirects=False)
        code = parse_qs(urlsplit(page.headers["location"]).query)["code"][0]
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": verifier,
        }
        answer = browser.post(known["token_endpoint"], auth=("web", "websecret"), data=asked)
    return answer.raise_for_status().json()


def over_http(gateway, token):
    return httpx.get(f"{gateway.web}/api/caller", headers={"Authorization": f"Bearer {token}"}, timeout=30)


def over_dimse(gateway, folder, token, image):
    """Whether an association with the token is admitted and takes an image."""
    path = folder / "token.jwt"
    path.write_text(token)
    call = ("-aet", "WS", "-aec", "DGIS", "--jwt", path)
    done = dcmtk.run("storescu", *call, *gateway.address, image, check=False)
    return done.returncode == 0


def test_a_person_who_logs_in_is_known_at_both_doors(site, gateway, image):
    token = for_somebody(site.issuer, "alice")["access_token"]
    known = over_http(gateway, token).json()
    assert known["assertions"] == {
        "issuer": [site.issuer],
        "user": ["alice"],
        "department": ["Radiology"],
        "institution": ["Hospital A"],
        "role": ["reader", "teacher"],
    }
    assert over_dimse(gateway, site.folder, token, image)
    wait_until(
        lambda: (
            f"WS <alice@{site.issuer}>"
            in [entry["caller"] for entry in gateway.json("audit", "list", "--event", "store")]
        ),
        20,
        "what she sent is recorded as hers",
    )


def test_an_identity_token_counts_where_its_client_is_an_audience(site, gateway):
    known = over_http(gateway, for_somebody(site.issuer, "bob")["id_token"]).json()
    assert known["assertions"]["institution"] == ["Hospital B"]


def test_a_service_has_a_token_of_its_own(site, gateway, image):
    token = for_itself(site.issuer)
    assert over_http(gateway, token).json()["assertions"]["role"] == ["service"]
    assert over_dimse(gateway, site.folder, token, image)


def test_a_token_of_the_provider_becomes_one_of_the_grid(site, gateway, image):
    login = {"Authorization": f"Bearer {for_somebody(site.issuer, 'alice')['access_token']}"}
    given = httpx.post(f"{gateway.web}/api/credential", json={}, headers=login, timeout=30).json()
    assert given["expires_in"] <= 300, "it ends with the login"
    assert over_http(gateway, given["access_token"]).json()["assertions"]["user"] == ["alice"]
    assert over_dimse(gateway, site.folder, given["access_token"], image)


def forged(claims, header, signature):
    said = b".".join(makers.part(each) for each in (header, claims))
    return (said + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def with_the_public_key(site, claims):
    """HS256 with the PEM of the provider's published key as the secret."""
    (published,) = KeySet.import_key_set(httpx.get(discovered(site.issuer)["jwks_uri"]).json()).keys
    said = b".".join(makers.part(each) for each in ({"alg": "HS256", "kid": published.kid}, claims))
    digest = hmac.digest(published.as_pem(private=False), said, "sha256")
    return (said + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


def late(claims, seconds):
    return {**claims, "iat": claims["iat"] - 3600, "exp": int(time.time()) + seconds}


# how a bad token is made of what the provider gave: the token, its claims
BAD = {
    "expired": (lambda site, _token, said: site.signed(late(said, -61)), "expired"),
    "not yet valid": (lambda site, _token, said: site.signed({**said, "nbf": time.time() + 600}), "not_yet"),
    "wrong audience": (lambda site, _token, _said: for_itself(site.issuer, "urn:other"), "audience"),
    "wrong issuer": (
        lambda site, _token, said: site.signed({**said, "iss": f"{site.issuer}/"}),
        "unknown_issuer",
    ),
    "wrong key": (lambda site, _token, said: site.signed(said, "second", kid="first"), "signature"),
    "unknown key": (lambda site, _token, said: site.signed(said, "second", kid="other"), "signature"),
    "unsigned": (lambda _site, token, _said: token[: token.rindex(".") + 1], "signature"),
    "alg none": (lambda _site, _token, said: forged(said, {"alg": "none"}, b""), "algorithm"),
    "HS256 with the public key": (lambda site, _token, said: with_the_public_key(site, said), "algorithm"),
    "truncated": (lambda _site, token, _said: token[:-20], "signature"),
    "altered": (
        lambda _site, token, said: ".".join(
            (token.split(".")[0], makers.part({**said, "sub": "the-boss"}).decode(), token.split(".")[2])
        ),
        "signature",
    ),
    "another kind of token": (
        lambda site, _token, said: site.signed(said, typ="logout+jwt"),
        "malformed",
    ),
    "not a token": (lambda _site, _token, _said: "x" * 60_000, "malformed"),
}


@pytest.fixture(scope="module")
def alice(site, gateway):
    token = for_somebody(site.issuer, "alice")["access_token"]
    payload = token.split(".")[1]
    return token, json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.mark.parametrize("case", BAD)
def test_a_bad_token_is_refused_at_both_doors(site, gateway, image, alice, case):
    make, reason = BAD[case]
    token = make(site, *alice)
    answer = over_http(gateway, token)
    assert (answer.status_code, answer.json()["reason"]) == (401, reason)
    assert not over_dimse(gateway, site.folder, token, image)


def test_a_token_of_60_kb_is_taken_at_both_doors(site, gateway, image):
    token = for_somebody(site.issuer, "many")["access_token"]
    assert len(token) > 50_000
    assert over_http(gateway, token).json()["assertions"]["user"] == ["many"]
    assert over_dimse(gateway, site.folder, token, image)


def test_a_token_may_be_used_again_until_it_ends(gateway, alice):
    assert [over_http(gateway, alice[0]).status_code for _ in range(3)] == [200] * 3


def test_a_provider_that_is_away_and_one_that_comes_back_with_other_keys(site, gateway, image, alice):
    """Last, for it changes the provider: keys are kept while it is away, new ones found by their name."""
    site.stop()
    assert over_http(gateway, alice[0]).status_code == 200
    gateway.restart()
    answer = over_http(gateway, alice[0])
    assert (answer.status_code, answer.json()["reason"]) == (503, "keys_away")
    assert "Retry-After" in answer.headers
    assert not over_dimse(gateway, site.folder, alice[0], image)
    site.start("second")
    token = for_itself(site.issuer)
    wait_until(lambda: over_http(gateway, token).status_code == 200, 30, "the new key is found", 0.5)
    refused = over_http(gateway, alice[0])
    assert (refused.status_code, refused.json()["reason"]) == (401, "signature")
