"""OHIF as it was published, in a real browser behind a real login: it draws every frame of a study."""

import os
import re
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import expect

from dgis.demo import kinds, phantoms
from dgis.demo.peer import Peer
from dgis.demo.people import PEOPLE
from dgis.viewer.package import OHIF
from tests.browser import visit
from tests.gateway import Gateway, wait_until
from tests.needs import lacking

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("web-viewer")]

FILE = Path(__file__).resolve().parents[1] / "engines" / "viewer" / f"ohif-app-{OHIF.version}.tgz"
PASSCODE = "a long enough phrase"
COUNT = 3
# Originals come as they were sent, the others as they lie in the record: HTJ2K, decoded by OHIF.
SYNTAXES = {"radiologist": b"1.2.840.10008.1.2.1", "researcher": b"1.2.840.10008.1.2.4.202"}
SHOTS = os.environ.get("DGIS_TEST_SCREENSHOTS")
SECONDS = 240  # for OHIF to begin, beside other work
GRID = 128
# Grey levels of what is drawn, at the pixels `places` of an image of `rows` by `rows` that is fitted in.
DRAWN = """([rows, places]) => {
  const canvas = document.querySelector("canvas.cornerstone-canvas");
  if (!canvas?.width || !canvas.height) return [];
  const { width, height } = canvas;
  const side = Math.min(width, height);
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const at = (place, room) => Math.floor((room - side) / 2 + ((place + 0.5) / rows) * side);
  return places.flatMap((y) => places.map((x) => data[4 * (at(y, height) * width + at(x, width))]));
}"""


@pytest.fixture(scope="module")
def sent():
    """Two series of one study."""
    return [
        image for kind in (kinds.CT, kinds.MR) for image in phantoms.series(kind, PEOPLE[0], COUNT, seed=0)
    ]


@pytest.fixture(scope="module")
def gateway(sent):
    if not FILE.exists():
        lacking(f"no {FILE.name}: `make engines` fetches it")
    with Gateway() as gateway:
        of_the_hospital = ("--department", "Radiology", "--institution", "Demo Hospital", "--may", "phi")
        for name, further in (("radiologist", of_the_hospital), ("researcher", ())):
            may = ("--may", "find,retrieve", *further)
            gateway.cli("account", "add", name, *may, typed=f"{PASSCODE}\n")
        assert Peer("HOSPITAL1", gateway.address).store(sent, lambda: None) == len(sent)
        gateway.wait_published()
        # While the gateway runs.
        assert gateway.json("viewer", "install", "--from", str(FILE))["version"] == OHIF.version
        assert gateway.json("viewer", "status")["damaged"] == []
        yield gateway


def is_drawn(page, sent, number):
    """Whether that of the images is drawn: no other is as much like it, for each has noise of its own."""
    likeness = []
    for image in sent:
        cells = np.frombuffer(image.pixels, "<i2")
        rows = int(np.sqrt(cells.size))
        places = [rows // GRID * each for each in range(GRID)]
        shown = np.array(page.evaluate(DRAWN, [rows, places]), float)
        if not shown.size or shown.std() == 0:
            return False
        meant = cells.reshape(rows, rows)[np.ix_(places, places)].ravel()
        likeness.append(np.corrcoef(shown, meant)[0, 1])
    return int(np.argmax(likeness)) == number and likeness[number] > 0.8


@pytest.mark.parametrize("name", SYNTAXES)
def test_it_draws_every_frame_of_a_study_behind_the_login(gateway, browser, sent, name):
    with visit(browser, base_url=gateway.web, viewport={"width": 1280, "height": 860}) as visited:
        asked, answers = [], []
        visited.context.on("request", lambda request: asked.append(request.url))
        visited.context.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 (it takes no builtin)
        page = visited.page
        page.goto("/viewer/viewer")
        expect(page).to_have_url(re.compile("/login"))
        page.get_by_label("Name").fill(name)
        page.get_by_label("Passcode").fill(PASSCODE)
        page.get_by_role("button", name="Log in").click()
        page.locator("table.studies tbody a").click()
        with visited.context.expect_page() as opened:
            page.get_by_role("link", name="Open in OHIF").click()
        ohif = opened.value
        before_ohif = len(answers)

        for series in range(2):
            if series:
                ohif.locator("[data-cy=study-browser-thumbnail]").nth(series).dblclick()
            for place in range(COUNT):
                if place:
                    ohif.locator("canvas.cornerstone-canvas").hover()
                    ohif.mouse.wheel(0, 100)
                number = series * COUNT + place
                wait_until(partial(is_drawn, ohif, sent, number), SECONDS, f"image {number} is drawn", 0.2)
            if SHOTS:
                ohif.screenshot(path=str(Path(SHOTS) / f"ohif-{name}-{series}.png"))

        assert {each.status for each in answers[before_ohif:]} == {200}
        frames = [each for each in answers if re.search(r"/frames/1$", each.url)]
        assert len({re.search(r"/instances/([^/]+)/", each.url)[1] for each in frames}) == len(sent)
        # A browser gives the bodies of a page's own answers out at its pleasure; one asks again, as OHIF did.
        fields = {"Accept": frames[0].request.headers["accept"]}
        again = [visited.context.request.get(each.url, headers=fields).body() for each in frames]
        assert {re.search(rb'transfer-syntax="?([0-9.]+)', each)[1] for each in again} == {SYNTAXES[name]}
        own = ("data:", f"blob:{gateway.web}/", f"{gateway.web}/")
        assert [each for each in asked if not each.startswith(own)] == []
        [study] = parse_qs(urlsplit(ohif.url).query)["StudyInstanceUIDs"]
        pages = [each.partition("#")[0] for each in asked if "/viewer/" in each]
        assert pages
        assert [each for each in pages if study in each] == [], "the page's address names no study"
        assert visited.errors == []
