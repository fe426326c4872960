"""Logging in by a form, and what the cookie then does and does not do."""

from dataclasses import replace

import pytest

from catalog.credentials import accounts
from dgis.identity.first import ADMINISTRATOR, make_first
from dgis.web.configuration import RatesSection
from dgis.web.rates import Rates
from tests.unit.dgis.sessions.conftest import NAME, OURS, PASSCODE, made

TYPED = {"name": NAME, "passcode": PASSCODE}


@pytest.fixture
def cookies(door):
    answer = door.sign_in()
    assert answer.status_code == 303
    return dict(answer.cookies)


def test_a_session_is_its_account_in_every_process(door, cookies, engine, clock):
    for each in (door, made(engine, clock)):
        known = each.caller(cookies=cookies).json()
        assert known["assertions"] == {"issuer": ["gateway-1"], "user": [NAME], "institution": ["Hospital A"]}
        assert known["may"] == ["find", "phi"]


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(door):
    said = door.sign_in().headers["set-cookie"].lower()
    assert said.startswith("dgis-session=")
    assert {"httponly", "samesite=lax", "path=/"} <= set(said.split("; "))
    assert "secure" not in said


@pytest.mark.parametrize("base", ["https://grid.example", "http://127.0.0.1"])
def test_over_tls_a_browser_keeps_the_cookie_for_this_host_alone(engine, clock, base):
    door = replace(made(engine, clock, "https://grid.example"), base=base)
    answer = door.sign_in()
    assert answer.headers["set-cookie"].startswith("__Host-dgis-session=")
    assert "Secure" in answer.headers["set-cookie"]
    assert door.caller(cookies=dict(answer.cookies)).status_code == 200
    (secret,) = answer.cookies.values()
    assert door.caller(cookies={"dgis-session": secret}).status_code == 401


def test_after_the_logout_the_cookie_is_worth_nothing(door, cookies):
    gone = door.ask("POST", "/logout", cookies=cookies, headers=OURS)
    assert gone.status_code == 200
    assert "Max-Age=0" in gone.headers["set-cookie"]
    refused = door.caller(cookies=cookies)
    assert (refused.status_code, refused.json()["reason"]) == (401, "no_session")


def test_logging_out_everywhere_ends_all_of_ones_sessions(door, cookies):
    other = dict(door.sign_in().cookies)
    door.ask("POST", "/logout", cookies=cookies, headers=OURS, data={"everywhere": "yes"})
    assert [door.caller(cookies=each).status_code for each in (cookies, other)] == [401, 401]


def test_a_login_changes_the_cookie(door, cookies):
    after = dict(door.sign_in(cookies=cookies).cookies)
    assert after != cookies
    assert [door.caller(cookies=each).status_code for each in (cookies, after)] == [401, 200]


def test_a_cookie_that_was_planted_is_not_taken_up(door):
    """Session fixation: who logs in gets another one."""
    planted = {"dgis-session": "x" * 43}
    given = dict(door.sign_in(cookies=planted).cookies)
    assert given != planted
    assert door.caller(cookies=planted).status_code == 401


def test_it_ends_when_nobody_uses_it(door, cookies, clock):
    clock.now_ms += 599_000
    assert door.caller(cookies=cookies).status_code == 200
    clock.now_ms += 600_000
    assert door.caller(cookies=cookies).status_code == 401


@pytest.mark.parametrize("change", ["passcode", "removal"])
def test_it_ends_with_what_it_began_with(door, cookies, engine, change):
    with engine.begin() as connection:
        if change == "passcode":
            accounts.change_passcode(connection, NAME, "other")
        else:
            accounts.remove(connection, NAME)
    assert door.caller(cookies=cookies).status_code == 401


# what a browser, or who plays one, says of where a request comes from
ELSEWHERE = {
    "nothing says where it comes from": {},
    "another site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "another site, as older browsers say it": {"Origin": "https://evil.example"},
    "a sister site": {"Sec-Fetch-Site": "same-site"},
    "a sandbox": {"Origin": "null"},
    "typed": {"Sec-Fetch-Site": "none"},
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_cookie_alone_changes_nothing_for_another_site(door, cookies, case):
    for path, body in (("/api/tokens", {"json": {}}), ("/logout", {}), ("/login", {"data": TYPED})):
        answer = door.ask("POST", path, cookies=cookies, headers=ELSEWHERE[case], **body)
        assert (answer.status_code, answer.json()["reason"]) == (403, "cross_site")
    assert door.ask("DELETE", "/api/tokens/x", cookies=cookies, headers=ELSEWHERE[case]).status_code == 403
    assert door.caller(cookies=cookies, headers=ELSEWHERE[case]).status_code == 200


@pytest.mark.parametrize("headers", [OURS, {"Origin": "http://127.0.0.1"}])
def test_a_page_of_ours_changes_what_its_owner_may(door, cookies, headers):
    answer = door.ask("POST", "/api/tokens", cookies=cookies, headers=headers, json={"may": ["find"]})
    assert answer.status_code == 201


def test_what_is_presented_counts_before_a_cookie(door, cookies):
    refused = door.caller(cookies=cookies, headers={"Authorization": "Bearer x"})
    assert (refused.status_code, refused.json()["reason"]) == (401, "malformed")


def test_a_page_that_asks_has_the_browser_ask_for_no_passcode(door):
    assert "Basic" in door.caller().headers["www-authenticate"]
    assert "Basic" not in door.caller(headers=OURS).headers["www-authenticate"]


def test_wrong_passcodes_are_refused_and_make_the_account_rest(door, clock):
    for _ in range(5):
        answer = door.sign_in(passcode="wrong")
        assert (answer.status_code, answer.cookies) == (401, {})
        assert "no account has this name and passcode" in answer.text
    rests = door.sign_in()
    assert rests.status_code == 401
    assert rests.text == answer.text, "that an account rests is not told"
    clock.now_ms += 61_000
    assert door.sign_in().status_code == 303


def test_a_changed_passcode_ends_the_sessions_before_and_opens_one(door, cookies):
    given = {**TYPED, "new": "other", "again": "other"}
    answer = door.ask("POST", "/login/passcode", data=given, headers=OURS)
    assert answer.status_code == 303
    assert door.caller(cookies=cookies).status_code == 401
    assert door.caller(cookies=dict(answer.cookies)).status_code == 200
    assert door.sign_in().status_code == 401


@pytest.mark.parametrize(
    "given", [{"new": "a", "again": "b"}, {"new": "", "again": ""}, {"new": PASSCODE, "again": PASSCODE}, {}]
)
def test_a_passcode_that_is_not_another_one_changes_nothing(door, cookies, given):
    answer = door.ask("POST", "/login/passcode", data={**TYPED, **given}, headers=OURS)
    assert answer.status_code == 400
    assert door.caller(cookies=cookies).status_code == 200


def test_a_passcode_for_one_time_serves_to_choose_another_alone(door, engine):
    with engine.begin() as connection:
        assert make_first(connection, "gateway-1", 1) is None, "there is an account"
        accounts.remove(connection, NAME)
        first = make_first(connection, "gateway-1", 1)
        assert make_first(connection, "gateway-1", 2) is None
    refused = door.caller(auth=(ADMINISTRATOR, first))
    assert (refused.status_code, refused.json()["reason"]) == (401, "one_time")
    page = door.sign_in(ADMINISTRATOR, first)
    assert (page.status_code, page.cookies) == (200, {})
    assert "Choose a passcode" in page.text
    assert first not in page.text
    given = {"name": ADMINISTRATOR, "passcode": first, "new": "correct horse", "again": "correct horse"}
    entered = door.ask("POST", "/login/passcode", data=given, headers=OURS)
    assert "administer" in door.caller(cookies=dict(entered.cookies)).json()["may"]
    assert door.ask("POST", "/login/passcode", data=given, headers=OURS).status_code == 401
    assert door.sign_in(ADMINISTRATOR, "correct horse").status_code == 303


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil", "javascript:1"])
def test_a_login_leads_to_no_other_site(door, back):
    given = {**TYPED, "back": back}
    assert door.ask("POST", "/login", data=given, headers=OURS).headers["location"] == "/login"
    assert "evil" not in door.ask("GET", "/login", params={"back": back}).text
    there = door.ask("POST", "/login", data={**given, "back": "/a/b"}, headers=OURS)
    assert there.headers["location"] == "/a/b"


def test_what_is_typed_into_a_form_is_text(door):
    page = door.sign_in("<script>alert(1)</script>", "x")
    assert "<script" not in page.text
    page = door.ask("GET", "/login", params={"back": '/"><script>'})
    assert "<script" not in page.text


@pytest.mark.parametrize("path", ["/login", "/login/passcode"])
def test_pages_hold_no_script_and_no_style_of_their_own(door, path):
    page = door.ask("GET", path)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert not [word for word in ("<script", "<style", "style=", "onclick") if word in page.text]


def test_style_and_icon_are_there_and_nothing_else(door):
    for name, kind in (("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        assert door.ask("GET", f"/login/{name}").headers["content-type"].startswith(kind)
    assert door.ask("GET", "/login/pages.py").status_code == 404


def test_a_form_that_is_none_is_refused(door):
    many = {f"field{number}": "x" for number in range(30)}
    assert door.ask("POST", "/login", data=many, headers=OURS).status_code in {400, 401}
    files = {"name": ("x", b"x")}
    assert door.ask("POST", "/login", files=files, headers=OURS).status_code in {400, 401}


def test_each_login_and_logout_is_in_the_trail_and_no_secret_is(door, cookies):
    door.sign_in(passcode="wr0ng")
    door.ask("POST", "/logout", cookies=cookies, headers=OURS)
    entries = door.entries()
    told = {(one.event.value, one.detail.get("what"), one.detail.get("reason")) for one in entries}
    assert {
        ("login", "login", None),
        ("login", "logout", None),
        ("login", None, "unknown_account"),
    } <= told
    for secret in (PASSCODE, "wr0ng", *cookies.values()):
        assert secret not in repr([(one, one.detail) for one in entries])


def test_who_guesses_from_one_address_is_held_up_and_others_are_not(engine, clock, cookies):
    slow = made(engine, clock, rates=Rates.of(RatesSection(refused_per_minute=3), float))
    for _ in range(2):
        assert slow.sign_in(name="nobody", passcode="x").status_code == 401
    assert slow.caller(headers={"Authorization": "Bearer x"}).status_code == 401
    for held in (slow.sign_in(), slow.caller(cookies=cookies)):
        assert (held.status_code, held.json()["reason"]) == (429, "too_many")
        assert int(held.headers["retry-after"]) > 0
    assert slow.caller(cookies=cookies, client="192.0.2.9").status_code == 200


def test_nothing_presented_is_no_guess(engine, clock, cookies):
    slow = made(engine, clock, rates=Rates.of(RatesSection(refused_per_minute=1), float))
    assert [slow.caller().status_code for _ in range(5)] == [401] * 5
    assert slow.caller(cookies=cookies).status_code == 200


def test_one_caller_is_counted_from_wherever_it_asks(engine, clock, cookies):
    slow = made(engine, clock, rates=Rates.of(RatesSection(caller_per_second=1, caller_burst=2), float))
    answers = [slow.caller(cookies=cookies, client=f"192.0.2.{number}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
