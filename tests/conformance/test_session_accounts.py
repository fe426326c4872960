"""Accounts in a real browser, their first passcode, and their tokens, against a whole gateway."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from dgis.demo.files import write_files
from tests import dcmtk
from tests.browser import visit
from tests.gateway import STOP_SECONDS, Gateway

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-session")]

NAME, PASSCODE = "dr-no", "crab key"
NOWHERE = "https://evil.example"
OURS = {"Sec-Fetch-Site": "same-origin"}
SECONDS = 120  # a passcode takes long on purpose, and longer on a machine at work


def ask(method, gateway, path, **given):
    return httpx.request(method, gateway.web + path, timeout=SECONDS, **given)


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as gateway:
        rights = [part for right in ("find", "retrieve", "phi") for part in ("--may", right)]
        gateway.cli("account", "add", NAME, "--institution", "Hospital A", *rights, typed=f"{PASSCODE}\n")
        yield gateway


def log_in(page, gateway, name=NAME, passcode=PASSCODE):
    page.goto(f"{gateway.web}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Passcode").fill(passcode)
    page.get_by_role("button", name="Log in").click()


def with_cookie(visited):
    """What a thief with the cookie alone presents."""
    (cookie,) = [cookie for name, cookie in visited.cookies().items() if name == "dgis-session"]
    return {"dgis-session": cookie["value"]}


def caller(gateway, cookies):
    return ask("GET", gateway, "/api/caller", cookies=cookies)


def test_somebody_logs_in_and_out_by_keyboard(gateway, browser):
    with visit(browser, viewport={"width": 360, "height": 640}) as seen:
        page = seen.page
        page.goto(f"{gateway.web}/login")
        page.keyboard.press("Tab")
        for typed in (NAME, PASSCODE):
            page.keyboard.type(typed)
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=You are logged in")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it fits a phone"
        assert PASSCODE not in page.content()
        cookie = seen.cookies()["dgis-session"]
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
        stolen = with_cookie(seen)
        known = caller(gateway, stolen).json()
        assert known["assertions"] == {
            "issuer": ["gateway-1"],
            "user": [NAME],
            "institution": ["Hospital A"],
        }
        assert known["may"] == ["find", "phi", "retrieve"]
        page.get_by_role("button", name="Log out", exact=True).click()
        page.wait_for_selector("text=You are logged out here")
        assert "dgis-session" not in seen.cookies()
        refused = caller(gateway, stolen)
        assert (refused.status_code, refused.json()["reason"]) == (401, "no_session")
        assert seen.errors == []


def test_a_wrong_passcode_is_refused_in_words(gateway, browser):
    with visit(browser) as seen:
        log_in(seen.page, gateway, passcode="wrong")
        assert "no account has this name and passcode" in seen.page.get_by_role("alert").inner_text()
        assert "dgis-session" not in seen.cookies()


def test_logging_out_everywhere_ends_every_session_and_logging_in_again_the_one_before(gateway, browser):
    with visit(browser) as one, visit(browser) as other:
        log_in(one.page, gateway)
        one.page.wait_for_selector("text=You are logged in")
        before = with_cookie(one)
        one.page.request.post(
            f"{gateway.web}/login",
            form={"name": NAME, "passcode": PASSCODE},
            headers=OURS,
        )
        assert with_cookie(one) != before
        assert caller(gateway, before).status_code == 401
        log_in(other.page, gateway)
        other.page.get_by_role("button", name="Log out everywhere").click()
        other.page.wait_for_selector("text=You are logged out here")
        assert caller(gateway, with_cookie(one)).status_code == 401


def test_an_operator_ends_the_sessions_of_somebody(gateway, browser):
    with visit(browser) as seen:
        log_in(seen.page, gateway)
        seen.page.wait_for_selector("text=You are logged in")
        assert gateway.json("account", "logout", NAME, "--issuer", "https://idp.example") == {"ended": 0}
        assert gateway.json("account", "logout", NAME)["ended"] >= 1
        assert caller(gateway, with_cookie(seen)).status_code == 401


def test_a_form_of_another_site_does_not_get_through_a_browser(gateway, browser, tmp_path):
    """The other site is a file here: its origin is no gateway's."""
    trap = tmp_path / "trap.html"
    trap.write_text(f'<form method="post" action="{gateway.web}/logout"><button>win a prize</button></form>')
    with visit(browser) as seen:
        log_in(seen.page, gateway)
        seen.page.wait_for_selector("text=You are logged in")
        kept = with_cookie(seen)
        seen.page.goto(trap.as_uri())
        with seen.page.expect_navigation():
            seen.page.get_by_role("button").click()
        assert caller(gateway, kept).status_code == 200


def test_a_token_of_a_command_counts_at_the_door_until_a_command_takes_it_away(gateway):
    made = gateway.json("account", "token", "add", NAME, "--may", "find", "--days", "1")
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert ask("GET", gateway, "/api/caller", headers=bearer).json()["may"] == ["find"]
    refused = ask("POST", gateway, "/api/credential", headers=bearer, json={})
    assert (refused.status_code, refused.json()["reason"]) == (401, "not_exchanged")
    assert made["id"] in [one["id"] for one in gateway.json("account", "token", "list", NAME)]
    gateway.cli("account", "token", "revoke", made["id"])
    refused = ask("GET", gateway, "/api/caller", headers=bearer)
    assert (refused.status_code, refused.json()["reason"]) == (401, "unknown_token")
    assert gateway.cli("account", "token", "revoke", made["id"], check=False).returncode == 1
    told = json.dumps(gateway.json("audit", "list", "--event", "account"))
    assert made["id"] in told
    for secret in (made["token"], PASSCODE):
        assert secret not in told
        assert secret not in gateway.log()
        assert secret.encode() not in (gateway.home / "catalog.sqlite").read_bytes()


# -- the first account ----------------------------------------------------------------------------------


def at_a_terminal(gateway, until):
    """Start a gateway whose output is a terminal; what it shows there, as far as `until` is found."""
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "dgis", "serve", "--home", str(gateway.home)]
    environment = {**gateway._environment(), "COLUMNS": "200"}
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    shown, deadline = b"", time.monotonic() + 90
    while not re.search(until, shown) and time.monotonic() < deadline:
        if select.select([screen], [], [], 1)[0]:
            shown += os.read(screen, 65536)
    return process, screen, shown.decode(errors="replace")


def ended(process, screen):
    process.send_signal(signal.SIGTERM)
    while True:
        try:
            if not os.read(screen, 65536):
                break
        except OSError:
            break
    os.close(screen)
    return process.wait(STOP_SECONDS)


def test_the_first_start_shows_a_passcode_once_and_it_must_be_changed(browser):
    with Gateway() as gateway:
        assert "passcode" not in gateway.log(), "no terminal, no passcode"
        assert gateway.json("account", "list") == []
        assert gateway.stop() == 0
        (gateway.home / "run" / "web.json").unlink()
        process, screen, shown = at_a_terminal(gateway, rb"shown this once")
        try:
            first = re.search(r"FIRST LOGIN\s+admin, passcode ([a-z2-9-]{29}):", shown)[1]
            assert first not in gateway.log()
            basic = ask("GET", gateway, "/api/caller", auth=("admin", first))
            assert (basic.status_code, basic.json()["reason"]) == (401, "one_time")
            with visit(browser) as seen:
                log_in(seen.page, gateway, "admin", first)
                seen.page.get_by_label("Passcode until now").fill(first)
                seen.page.get_by_label("New passcode", exact=True).fill("correct horse")
                seen.page.get_by_label("New passcode once more").fill("correct horse")
                seen.page.get_by_role("button", name="Change passcode").click()
                seen.page.wait_for_selector("text=You are logged in")
                known = caller(gateway, with_cookie(seen)).json()
            assert "administer" in known["may"]
            assert ask("GET", gateway, "/api/caller", auth=("admin", first)).status_code == 401
        finally:
            assert ended(process, screen) == 0
        (grant,) = [one for one in gateway.json("grant", "list") if one["by"] == "the first start"]
        assert "phi" not in grant["may"]
        again = gateway.cli("account", "first", check=False)
        assert again.returncode == 1


# -- shares ---------------------------------------------------------------------------------------------


@pytest.mark.dcmtk
def test_a_share_link_opens_one_study_and_is_out_of_the_address(gateway, browser, tmp_path):
    dcmtk.require_dcmtk()
    write_files(tmp_path / "images", 1)
    images = sorted((tmp_path / "images").rglob("*.dcm"))
    dcmtk.storescu(gateway.address, images, "HOSPITAL_1", tmp_path)
    gateway.wait_published()
    studies = [each["StudyInstanceUID"] for each in gateway.json("find", "study")]
    assert len(studies) > 1
    asked = ("--until", (datetime.now(UTC) + timedelta(days=2)).isoformat(), "--reason", "second opinion")
    made = gateway.json("grant", "share", "--study", studies[0], *asked)
    with visit(browser) as seen:
        sent = []
        seen.page.on("request", lambda request: sent.append(request.url))
        seen.page.goto(f"{gateway.web}/share#{made['token']}")
        seen.page.wait_for_selector("text=You are logged in")
        assert not [url for url in (*sent, seen.page.url) if "dgis_share_" in url]
        cookies = with_cookie(seen)
        for number, study in enumerate(studies):
            question = {"study": study, "operation": "retrieve"}
            told = ask("POST", gateway, "/api/explain", cookies=cookies, headers=OURS, json=question)
            assert told.json()["granted"] is (number == 0)
        gateway.cli("grant", "unshare", made["id"])
        assert caller(gateway, cookies).status_code == 401
        assert seen.errors == []
    assert made["token"] not in gateway.log()
