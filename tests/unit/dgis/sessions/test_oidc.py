"""Browser sessions by OpenID Connect: every check of the flow, each made to fail; renewal; the end."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from dgis.sessions.oidc.fetching import Fetcher, ProviderAway
from dgis.sessions.oidc.metadata import Discovered
from dgis.sessions.tables import web_session
from tests.unit.catalog.credentials.makers import IDP, OTHER_KEY, token_issuer
from tests.unit.dgis.sessions.conftest import OURS, made
from tests.unit.dgis.sessions.provider import CLIENT, Idp


@pytest.fixture
def idp(clock):
    return Idp(clock)


@pytest.fixture
def door(engine, clock, idp):
    return made(engine, clock, providers=[idp.provider()])


def begun(door, **query):
    answer = door.ask("GET", "/login/with/0", params=query)
    assert answer.status_code == 303
    return dict(answer.cookies), answer.headers["location"]


def came_back(door, cookies, answer):
    return door.ask("GET", "/login/callback", params=answer, cookies=cookies)


def logged_in(door, idp, user="alice"):
    cookies, address = begun(door)
    answer = came_back(door, cookies, idp.log_in(address, user))
    assert answer.status_code == 303, answer.text
    return {name: value for name, value in answer.cookies.items() if name == "dgis-session"}


def test_who_logs_in_is_whom_a_bearer_token_would_name(door, idp):
    cookies = logged_in(door, idp)
    known = door.caller(cookies=cookies).json()
    assert known["assertions"] == {"issuer": [IDP], "user": ["alice"], "institution": ["Hospital A"]}


def test_the_browser_is_sent_with_a_challenge_and_no_secret(door, idp):
    cookies, address = begun(door, back="/study/1")
    asked = parse_qs(urlsplit(address).query)
    assert asked["tenant"] == ["1"], "the endpoint's own query is kept"
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["http://127.0.0.1/login/callback"]
    answer = came_back(door, cookies, idp.log_in(address))
    assert answer.headers["location"] == "/study/1"
    form, auth = idp.asked[-1]
    assert form["code_verifier"] not in address
    assert auth.startswith("Basic ")
    assert "s3cret" not in str(form)
    assert CLIENT.secret not in address


# how the answer or the provider is changed, and the reason in the trail
BAD = {
    "another state": (lambda _idp, answer: answer.update(state="x"), "state"),
    "no state": (lambda _idp, answer: answer.pop("state"), "state"),
    "another provider answers": (lambda _idp, answer: answer.update(iss="https://evil.example"), "mixed_up"),
    "nobody says who answers": (lambda _idp, answer: answer.pop("iss"), "mixed_up"),
    "a refusal": (lambda _idp, answer: answer.update(error="access_denied"), "provider"),
    "no code": (lambda _idp, answer: answer.pop("code"), "provider"),
    "a code that is none": (lambda idp, _answer: setattr(idp, "status", 400), "provider"),
    "wrong issuer": (lambda idp, _answer: idp.claims.update(iss="https://evil.example"), "unknown_issuer"),
    "wrong audience": (lambda idp, _answer: idp.claims.update(aud="other"), "audience"),
    "for bearers, not for us": (lambda idp, _answer: idp.claims.update(aud="urn:dgis:test"), "audience"),
    "several audiences": (lambda idp, _answer: idp.claims.update(aud=["grid", "other"]), "audience"),
    "another party": (lambda idp, _answer: idp.claims.update(azp="other"), "audience"),
    "another nonce": (lambda idp, _answer: idp.claims.update(nonce="x"), "nonce"),
    "expired": (lambda idp, _answer: idp.claims.update(exp=1), "expired"),
    "wrong key": (lambda idp, _answer: setattr(idp, "key", OTHER_KEY), "signature"),
    "another access token": (lambda idp, _answer: idp.claims.update(at_hash="AAAA"), "signature"),
    "no identity token": (lambda idp, _answer: idp.answers.update(id_token=None), "incomplete"),
    "no subject": (lambda idp, _answer: idp.claims.update(sub=""), "incomplete"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_lets_nobody_in(door, idp, case):
    change, reason = BAD[case]
    cookies, address = begun(door)
    answer = idp.log_in(address)
    change(idp, answer)
    refused = came_back(door, cookies, answer)
    assert refused.status_code == 401
    assert "dgis-session" not in refused.cookies
    assert reason in {one.detail.get("reason") for one in door.entries()}


def test_an_answer_counts_once_and_in_the_browser_that_left(door, idp):
    cookies, address = begun(door)
    answer = idp.log_in(address)
    assert came_back(door, {}, answer).status_code == 401
    other, _address = begun(door)
    assert came_back(door, other, answer).status_code == 401
    assert came_back(door, cookies, answer).status_code == 303
    assert came_back(door, cookies, answer).status_code == 401


def test_a_login_that_takes_too_long_is_none(door, idp, clock):
    cookies, address = begun(door)
    clock.now_ms += 601_000
    assert came_back(door, cookies, idp.log_in(address)).status_code == 401


def test_a_parameter_that_comes_twice_says_nothing_certain(door, idp):
    cookies, address = begun(door)
    answer = [*idp.log_in(address).items(), ("state", "x")]
    assert came_back(door, cookies, answer).status_code == 401


def test_a_login_cookie_is_no_session(door):
    cookies, _address = begun(door)
    (secret,) = cookies.values()
    assert door.caller(cookies={"dgis-session": secret}).status_code == 401


def test_without_refresh_token_the_session_ends_with_the_token(door, idp, clock):
    cookies = logged_in(door, idp)
    clock.now_ms += 359_000
    assert door.caller(cookies=cookies).status_code == 200
    clock.now_ms += 2_000
    refused = door.caller(cookies=cookies)
    assert (refused.status_code, refused.json()["reason"]) == (401, "expired")


def test_a_refresh_token_is_used_before_the_end_and_the_newest_next_time(door, idp, clock):
    idp.answers = {"refresh_token": "first"}
    cookies = logged_in(door, idp)
    clock.now_ms += 150_000
    assert door.caller(cookies=cookies).status_code == 200
    assert idp.refreshes == 0
    idp.answers = {"refresh_token": "second"}
    clock.now_ms += 60_000
    assert door.caller(cookies=cookies).status_code == 200
    assert (idp.refreshes, idp.asked[-1][0]["refresh_token"]) == (1, "first")
    clock.now_ms += 400_000  # beyond its end: renewed before it is judged
    assert door.caller(cookies=cookies).status_code == 200
    assert (idp.refreshes, idp.asked[-1][0]["refresh_token"]) == (2, "second")


def test_a_refresh_that_is_refused_is_not_asked_for_again(door, idp, clock):
    idp.answers = {"refresh_token": "first"}
    cookies = logged_in(door, idp)
    idp.status = 400
    clock.now_ms += 250_000
    assert [door.caller(cookies=cookies).status_code for _ in range(3)] == [200] * 3
    assert len(idp.asked) == 2
    clock.now_ms += 120_000
    assert door.caller(cookies=cookies).status_code == 401


def test_while_the_provider_is_away_the_token_counts_to_its_end(door, idp, clock):
    idp.answers = {"refresh_token": "first"}
    cookies = logged_in(door, idp)
    idp.away = True
    clock.now_ms += 250_000
    assert door.caller(cookies=cookies).status_code == 200
    idp.away = False
    clock.now_ms += 31_000
    assert door.caller(cookies=cookies).status_code == 200
    assert idp.refreshes == 1


def test_a_refresh_about_somebody_else_renews_nothing(door, idp, clock):
    idp.answers = {"refresh_token": "first"}
    cookies = logged_in(door, idp)
    idp.user = "bob"
    clock.now_ms += 250_000
    assert door.caller(cookies=cookies).json()["assertions"]["user"] == ["alice"]
    clock.now_ms += 120_000
    assert door.caller(cookies=cookies).status_code == 401


def test_an_issuer_nobody_trusts_any_more_vouches_for_no_session(door, idp, engine, clock):
    cookies = logged_in(door, idp)
    assert made(engine, clock).caller(cookies=cookies).json()["reason"] == "unknown_issuer"
    strict = token_issuer(institutions=frozenset({"Hospital B"}))
    changed = made(engine, clock, providers=[idp.provider(trusted=strict)])
    assert changed.caller(cookies=cookies).json()["reason"] == "overreach"


def test_keys_that_are_away_are_said_to_be(idp, engine, clock):
    keys = token_issuer().keys
    door = made(engine, clock, providers=[idp.provider(trusted=token_issuer(keys))])
    cookies = logged_in(door, idp)
    keys.away = True
    assert door.caller(cookies=cookies).status_code == 503


def test_a_logout_leads_to_the_provider_with_no_token_in_the_address(door, idp):
    cookies = logged_in(door, idp)
    page = door.ask("POST", "/logout", cookies=cookies, headers=OURS)
    assert f"{IDP}/leave?client_id=grid&amp;post_logout_redirect_uri=" in page.text
    assert "id_token" not in page.text
    assert door.caller(cookies=cookies).status_code == 401


def test_logging_out_everywhere_ends_ones_own_alone(door, idp):
    hers, again, his = logged_in(door, idp), logged_in(door, idp), logged_in(door, idp, "bob")
    door.ask("POST", "/logout", cookies=hers, headers=OURS, data={"everywhere": "yes"})
    assert [door.caller(cookies=each).status_code for each in (hers, again, his)] == [401, 401, 200]


def test_no_token_is_in_the_database_or_the_trail(door, idp, engine):
    idp.answers = {"refresh_token": "refresh-me"}
    cookies = logged_in(door, idp)
    with engine.connect() as connection:
        kept = repr(connection.execute(sa.select(web_session)).all())
    for secret in ("refresh-me", "eyJ", *cookies.values()):
        assert secret not in kept
        assert secret not in repr([one.detail for one in door.entries()])


def test_a_person_without_account_makes_no_tokens_of_one(door, idp):
    cookies = logged_in(door, idp)
    refused = door.ask("POST", "/api/tokens", cookies=cookies, headers=OURS, json={})
    assert (refused.status_code, refused.json()["reason"]) == (403, "no_account")


def test_by_the_access_token_where_the_site_says_so(idp, engine, clock):
    """Meant for this gateway, as a bearer token is; the identity token must be about the same person."""
    client = replace(CLIENT, by="access", secret=None)
    door = made(engine, clock, providers=[idp.provider(client)])
    cookies, address = begun(door)
    answer = idp.log_in(address)
    assert came_back(door, cookies, answer).status_code == 401, "an opaque one states nothing"
    form, auth = idp.asked[-1]
    assert (form["client_id"], auth) == ("grid", None)


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": "http://idp.example/authorize"},
        {"token_endpoint": "http://idp.example/token"},
        {"token_endpoint": None},
    ],
)
def test_a_document_that_speaks_for_others_or_in_clear_is_none(door, idp, said):
    idp.said = said
    answer = door.ask("GET", "/login/with/0")
    assert answer.status_code == 503
    assert "the provider does not answer" in answer.text


def test_a_secret_goes_into_the_form_where_the_provider_wants_it_there(door, idp):
    idp.said = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    logged_in(door, idp)
    form, auth = idp.asked[-1]
    assert (form["client_secret"], auth) == (CLIENT.secret, None)


def test_the_document_is_kept_and_counts_while_the_provider_is_away(idp):
    now = [0.0]
    discovered = Discovered(IDP, Fetcher(transport=idp.transport()), lambda: now[0])
    first = discovered()
    idp.away = True
    for now[0] in (599.0, 601.0, 3600.0):
        assert discovered() == first
    now[0] = 3700.0
    with pytest.raises(ProviderAway):
        discovered()


def test_there_is_no_third_way(door):
    assert door.ask("GET", "/login/with/1").status_code == 404
    assert "The hospital" in door.ask("GET", "/login").text
