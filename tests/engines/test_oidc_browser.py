"""A person at a real browser logs in at a real OpenID provider; tokens are renewed; both sessions end."""

import json

import httpx
import pytest
from joserfc.jwk import KeySet

from tests.browser import visit
from tests.engines.providers import free_port, oidc_provider
from tests.gateway import Gateway, wait_until
from tests.unit.catalog.credentials import makers

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("oidc-browser")]

SECONDS = 60
SECRET = "door+secret/%"


class Site:
    """A provider and a gateway that is its client, each at an address the other knows."""

    def __init__(self, folder):
        self.key = makers.rsa_key("first")
        self.keys = folder / "keys.json"
        self.keys.write_text(json.dumps(KeySet([self.key]).as_dict(private=True)))
        self.log = folder / "provider.log"
        self.door = f"http://127.0.0.1:{free_port()}"

    def settings(self, issuer):
        entry = {
            "kind": "oidc",
            "uri": issuer,
            "audiences": ["door"],  # so that what a session holds can be presented as a bearer token, too
            "names": {"institution": "tenant", "department": "groups"},
            "client_id": "door",
            "client_secret": SECRET,
            "label": "The hospital",
            "scopes": ["openid", "offline_access"],
        }
        return {
            "DGIS__WEB__PORT": self.door.rpartition(":")[2],
            "DGIS__IDENTITY__ISSUERS": json.dumps([entry]),
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("oidc-browser"))


@pytest.fixture(scope="module")
def issuer(site):
    with oidc_provider(free_port(), site.keys, "urn:dgis", site.log, site.door) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def gateway(site, issuer):
    with Gateway(site.settings(issuer)) as gateway:
        assert gateway.web == site.door
        yield gateway


def log_in(page, gateway, name):
    page.goto(f"{gateway.web}/login")
    page.get_by_role("link", name="The hospital").click()
    page.locator('input[name="login"]').fill(name)
    page.locator('input[name="password"]').fill("x")
    page.get_by_role("button").first.click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_selector("text=You are logged in")


def cookie_of(visited):
    return {"dgis-session": visited.cookies()["dgis-session"]["value"]}


def caller(gateway, cookies):
    return httpx.get(f"{gateway.web}/api/caller", cookies=cookies, timeout=SECONDS)


def test_a_person_logs_in_and_the_claims_say_who_it_is(gateway, issuer, browser):
    with visit(browser) as seen:
        visited = []
        seen.page.on("framenavigated", lambda frame: visited.append(frame.url))
        log_in(seen.page, gateway, "alice")
        known = caller(gateway, cookie_of(seen)).json()
        assert known["assertions"] == {
            "issuer": [issuer],
            "user": ["alice"],
            "department": ["Radiology"],
            "institution": ["Hospital A"],
            "role": ["reader", "teacher"],
        }
        assert known["may"] == ["find", "phi", "retrieve", "share", "store"]
        assert seen.page.url == f"{gateway.web}/login", "the code is not left in the address"
        assert not [url for url in visited if "eyJ" in url], "no token is in an address"
        assert "eyJ" not in seen.page.content()
        assert "eyJ" not in gateway.log()
        assert not [name for name in seen.cookies() if name == "dgis-login"]


def test_what_is_brought_back_counts_once_and_nowhere_else(gateway, browser):
    with visit(browser) as seen, visit(browser) as other:
        callbacks = []
        seen.page.on(
            "request",
            lambda request: callbacks.append(request.url) if "/login/callback" in request.url else None,
        )
        log_in(seen.page, gateway, "alice")
        (callback,) = callbacks
        for each in (seen, other):
            each.page.goto(callback)
            assert "it answers no login that this browser began" in each.page.inner_text("body")
        assert "dgis-session" not in other.cookies()
        assert caller(gateway, cookie_of(seen)).status_code == 200


def test_the_session_outlives_its_token_by_refresh(gateway, site, browser):
    with visit(browser) as seen:
        log_in(seen.page, gateway, "bob")
        cookies, before = cookie_of(seen), site.log.read_text().count("granted refresh_token")

        def renewed():
            assert caller(gateway, cookies).status_code == 200
            return site.log.read_text().count("granted refresh_token") >= before + 2

        wait_until(renewed, 120, "the token is renewed, and renewed again by what came with that", 0.5)
        assert caller(gateway, cookies).json()["assertions"]["user"] == ["bob"]


def test_a_logout_ends_the_session_here_and_leads_to_the_providers_own(gateway, issuer, browser):
    with visit(browser) as seen:
        log_in(seen.page, gateway, "alice")
        stolen = cookie_of(seen)
        seen.page.get_by_role("button", name="Log out", exact=True).click()
        seen.page.wait_for_selector("text=You are logged out here")
        refused = caller(gateway, stolen)
        assert (refused.status_code, refused.json()["reason"]) == (401, "no_session")
        seen.page.get_by_role("link", name="Log out at the provider, too").click()
        assert seen.page.url.startswith(issuer)
        assert "eyJ" not in seen.page.url
        seen.page.locator('button[name="logout"]').click()
        seen.page.wait_for_url(f"{gateway.web}/login*")
        assert seen.page.get_by_role("button", name="Log in").count() == 1
        seen.page.get_by_role("link", name="The hospital").click()
        assert seen.page.locator('input[name="login"]').count() == 1, "the provider asks again who it is"


def test_logins_at_the_provider_are_in_the_trail_as_others_are(gateway, issuer, browser):
    with visit(browser) as seen:
        log_in(seen.page, gateway, "alice")
    entries = gateway.json("audit", "list", "--event", "login", "--limit", "1000")
    assert {"session by oidc"} <= {entry["detail"].get("kind") for entry in entries}
    assert f"alice <alice@{issuer}>" in {entry["caller"] for entry in entries}
    assert SECRET not in gateway.log()
    assert SECRET not in gateway.cli("config", "show").stdout
