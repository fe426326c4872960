"""The page at `/` in a real browser, before a real gateway: what it shows, to whom, and how it is used."""

import os
import re
from functools import cache
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from dgis.demo import kinds, phantoms
from dgis.demo.peer import Peer, workstation
from dgis.demo.people import PEOPLE
from storage_nodes.record.part10 import file_head
from tests.browser import WAIT_MS, visit
from tests.gateway import Gateway
from tests.needs import lacking

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("web-portal")]

PASSCODE = "a long enough phrase"
expect.set_options(timeout=4 * WAIT_MS)  # beside other work a machine takes its time
AXE = Path(__file__).resolve().parents[1] / "engines" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
SCREENS = {"desktop": {"width": 1280, "height": 860}, "phone": {"width": 390, "height": 844}}
SERIOUS = {"serious", "critical"}
# Where to leave pictures of the page for people to look at.
SHOTS = os.environ.get("DGIS_TEST_SCREENSHOTS")


@pytest.fixture(scope="module")
def gateway():
    with (
        workstation("HOSPITAL_WS") as (port, _images),
        Gateway(destinations={"HOSPITAL_WS": port}) as gateway,
    ):
        peer = Peer("HOSPITAL1", gateway.address)
        for place, person in enumerate(PEOPLE):
            for kind in (kinds.CT, kinds.MR)[: 2 - place % 2]:
                sent = list(phantoms.series(kind, person, 7, seed=place))
                assert peer.store(sent, lambda: None) == len(sent)
        for name, department, institution, further in (
            ("radiologist", "Radiology", "Demo Hospital", ("--may", "phi", "--may", "store")),
            ("researcher", "Informatics", "Elsewhere University", ()),
        ):
            said = ("--department", department, "--institution", institution)
            may = ("--may", "find", "--may", "retrieve", *further)
            gateway.cli("account", "add", name, *said, *may, typed=f"{PASSCODE}\n")
        everything = ("--may", "administer", "--everything", "--reason", "runs it")
        may = ("--may", "find", "--may", "retrieve", "--may", "administer")
        gateway.cli("account", "add", "boss", *may, typed=f"{PASSCODE}\n")
        gateway.cli("grant", "add", "--user", "boss", *everything)
        gateway.wait_published()
        yield gateway


@pytest.fixture(params=SCREENS)
def screen(request):
    return request.param


@pytest.fixture
def page(gateway, browser, screen):
    """The page as the radiologist; the test fails where it complained."""
    with signed_in(gateway, browser, "radiologist", screen) as visited:
        yield visited.page
        assert visited.errors == []


@cache
def token(web, name):
    """A credential of the grid: a passcode would be verified, slowly on purpose, for every picture."""
    answer = httpx.post(f"{web}/api/credential", json={}, auth=(name, PASSCODE), timeout=120)
    return answer.json()["access_token"]


def signed_in(gateway, browser, name, screen, **options):
    field = {"Authorization": f"Bearer {token(gateway.web, name)}"}
    return visit(browser, base_url=gateway.web, viewport=SCREENS[screen], extra_http_headers=field, **options)


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def require_no_serious_fault(page):
    if not AXE.exists():
        lacking("no axe-core: `make engines` installs it")
    # In line, which the page's policy forbids to pages and not to who drives the browser.
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run()")
    faults = [
        (each["id"], [node["html"][:200] for node in each["nodes"]])
        for each in found["violations"]
        if each["impact"] in SERIOUS
    ]
    assert faults == []


def rows(page):
    return page.locator("table.studies tbody tr")


def open_study(page, name):
    page.goto("/")
    page.get_by_role("link", name=re.compile(name)).click()
    expect(page.locator("canvas[data-shown]")).to_be_visible()


def test_the_list_shows_the_studies_that_one_may_see(page, screen):
    page.goto("/")
    expect(rows(page)).to_have_count(3)
    expect(page.get_by_text("DEMO-7301946")).to_be_visible()
    # One loads lazily: it is asked for when it comes into view.
    page.wait_for_function(
        "() => [...document.querySelectorAll('.thumb img')].some((each) => each.naturalWidth)"
    )
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "it fits the screen"
    shot(page, f"list-{screen}")
    require_no_serious_fault(page)


def test_others_see_pseudonyms(gateway, browser):
    with signed_in(gateway, browser, "researcher", "desktop") as visited:
        visited.page.goto("/")
        expect(rows(visited.page)).to_have_count(3)
        for person in PEOPLE:
            assert person.patient_id not in visited.page.content()
            assert person.name.partition("^")[0] not in visited.page.content()
        shot(visited.page, "list-researcher")
        rows(visited.page).first.click()
        expect(visited.page.locator("canvas[data-shown]")).to_be_visible()
        assert visited.errors == []


def test_a_search_narrows_the_list(page):
    page.goto("/")
    page.get_by_label("Name").fill("Wassermann")
    page.get_by_label("Name").press("Enter")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Name").fill("")
    page.get_by_label("Modality").select_option("MR")
    page.get_by_role("button", name="Search").click()
    expect(rows(page)).to_have_count(2)
    page.get_by_label("From").fill("2020-01-01")
    page.get_by_role("button", name="Search").click()
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Patient ID").fill("nobody")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No study found.")).to_be_visible()


def test_a_series_is_looked_through_by_wheel_keys_and_slider(page, screen):
    open_study(page, "Phantomov")
    shown = page.locator("canvas")
    expect(shown).to_have_attribute("data-shown", "4")
    expect(page.locator(".series button")).to_have_count(2)
    shot(page, f"series-{screen}")
    require_no_serious_fault(page)
    shown.hover()
    page.mouse.wheel(0, 120)
    expect(shown).to_have_attribute("data-shown", "5")
    shown.focus()
    page.keyboard.press("ArrowUp")
    expect(shown).to_have_attribute("data-shown", "4")
    page.keyboard.press("End")
    expect(shown).to_have_attribute("data-shown", "7")
    page.keyboard.press("ArrowDown")
    expect(shown).to_have_attribute("data-shown", "7")
    expect(shown).to_have_attribute("aria-label", "Image 7 of 7")
    page.get_by_label("Image of the series").fill("2")
    expect(shown).to_have_attribute("data-shown", "2")


def pixels(page):
    return page.evaluate("() => document.querySelector('canvas').toDataURL()")


def test_dragging_changes_the_window_and_it_can_be_reset(page):
    open_study(page, "Phantomov")
    before = pixels(page)
    box = page.locator("canvas").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    with page.expect_response(lambda answer: "window=" in answer.url) as asked:
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 90, middle[1] - 60, steps=3)
        page.mouse.up()
    assert asked.value.status == 200
    page.wait_for_function("(before) => document.querySelector('canvas').toDataURL() !== before", arg=before)
    page.get_by_role("button", name="Reset window").click()
    page.wait_for_function("(before) => document.querySelector('canvas').toDataURL() === before", arg=before)


def test_the_keyboard_alone_is_enough(gateway, browser):
    with signed_in(gateway, browser, "radiologist", "desktop") as visited:
        page = visited.page
        page.goto("/")
        expect(rows(page)).to_have_count(3)

        def tab_to(condition):
            for _ in range(40):
                page.keyboard.press("Tab")
                if page.evaluate(f"() => {condition}"):
                    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
                    ring = page.evaluate("() => !!document.activeElement.closest('.stage')")
                    assert outline != "none" or ring, "where one is can be seen"
                    return
            raise AssertionError(f"not reached: {condition}")

        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("() => document.activeElement.id") == "main"
        tab_to("document.activeElement.closest('tbody')")
        page.keyboard.press("Enter")
        expect(page.locator("canvas[data-shown]")).to_be_visible()
        tab_to("document.activeElement.tagName === 'CANVAS'")
        place = int(page.locator("canvas").get_attribute("data-shown"))
        page.keyboard.press("ArrowDown")
        expect(page.locator("canvas")).to_have_attribute("data-shown", str(place + 1))
        with page.expect_response(lambda answer: "window=" in answer.url):
            page.keyboard.press("Shift+ArrowRight")
        page.go_back()
        expect(rows(page)).to_have_count(3)
        assert visited.errors == []


def test_files_are_uploaded_and_found(gateway, page, screen, tmp_path):
    person = PEOPLE[2]
    sent = list(phantoms.series(kinds.PET, person, 2, seed=50 + len(screen)))
    files = []
    for number, instance in enumerate(sent):
        path = tmp_path / f"{number}.dcm"
        head = file_head(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax)
        path.write_bytes(head + instance.dataset)
        files.append(path)
    page.goto("/#upload")
    page.locator("input[type=file]").set_input_files(files)
    expect(page.get_by_text("2 files of 2 stored")).to_be_visible()
    shot(page, f"upload-{screen}")
    require_no_serious_fault(page)
    gateway.wait_published()


def test_the_grid_page_says_how_it_stands(gateway, browser, screen):
    with signed_in(gateway, browser, "boss", screen) as visited:
        page = visited.page
        page.goto("/#grid")
        expect(page.get_by_text("Ready", exact=True)).to_be_visible()
        expect(page.get_by_text("Every object has a good copy")).to_be_visible()
        for name in ("node-a", "node-b", "node-c"):
            expect(page.get_by_role("rowheader", name=name)).to_be_visible()
        with page.expect_response(lambda answer: answer.url.endswith("/api/status")):
            pass  # it looks again by itself
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "it fits the screen"
        shot(page, f"grid-{screen}")
        require_no_serious_fault(page)
        assert visited.errors == []


def test_a_study_is_sent_to_a_destination(gateway, browser):
    with signed_in(gateway, browser, "radiologist", "desktop") as visited:
        page = visited.page
        open_study(page, "Phantomov")
        page.get_by_role("button", name="Send to").click()
        page.get_by_label("Destination").fill("NOWHERE")
        with page.expect_response(lambda answer: answer.url.endswith("/api/jobs")) as refused:
            page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_text(refused.value.json()["detail"])).to_be_visible()
        (complaint,) = visited.errors  # the browser's own, of the refusal
        assert complaint.endswith("/api/jobs)")
        page.get_by_label("Destination").fill("HOSPITAL_WS")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_text("Done: 14 images sent.")).to_be_visible()
        shot(page, "send")
        require_no_serious_fault(page)


def test_names_of_nodes_are_for_administrators(gateway, browser):
    with signed_in(gateway, browser, "researcher", "desktop") as visited:
        visited.page.goto("/#grid")
        expect(visited.page.get_by_text("Every object has a good copy")).to_be_visible()
        assert "node-a" not in visited.page.content()
        assert visited.errors == []


def test_dark_is_as_readable(gateway, browser):
    with signed_in(gateway, browser, "radiologist", "desktop", color_scheme="dark") as visited:
        open_study(visited.page, "Phantomov")
        shot(visited.page, "series-dark")
        require_no_serious_fault(visited.page)
        visited.page.goto("/")
        expect(rows(visited.page).first).to_be_visible()
        require_no_serious_fault(visited.page)


def test_without_a_login_it_says_so(gateway, browser):
    with visit(browser, base_url=gateway.web) as visited:
        visited.page.goto("/")
        expect(visited.page.get_by_role("alert")).to_contain_text("log in")


def test_the_page_allows_nothing_from_elsewhere(gateway):
    answer = httpx.get(f"{gateway.web}/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert len(answer.headers.get_list("content-security-policy")) == 1
    files = set(re.findall(r'(?:src|href)="(/[^"]+)"', answer.text))
    for path in files:
        assert httpx.get(gateway.web + path).status_code == 200, path
    assert not re.search(r"https?://", answer.text)
    assert httpx.get(f"{gateway.web}/portal/routes.py").status_code == 404
    assert httpx.get(f"{gateway.web}/portal/..%2Froutes.py").status_code == 404
