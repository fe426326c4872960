"""What the web door gives of the viewer, and to whom."""

import asyncio
import json
import re
from types import SimpleNamespace

import httpx
import pytest
from starlette.requests import Request

from dgis.dicomweb.accept import acceptable
from dgis.dicomweb.bulk import offers
from dgis.dicomweb.parameters import Parameters
from dgis.viewer import installed, installing
from dgis.viewer.routes import Shelf, routes
from dgis.web.application import application
from dgis.web.limits import Limits
from dgis.web.problems import Problem
from tests.unit.dgis.viewer.package import CHUNK, SCRIPT, WORKER, built


class Logins:
    """Admits everybody, or answers everybody with one problem."""

    def __init__(self):
        self.problem = None

    async def admit(self, _request):
        if self.problem:
            raise self.problem


class Door:
    def __init__(self, home):
        self.logins = Logins()
        self._application = application([routes(Shelf(home), self.logins)], Limits(), lambda *_: None)

    def get(self, path, encoding="gzip, br"):
        async def asked():
            transport = httpx.ASGITransport(self._application)
            async with httpx.AsyncClient(transport=transport, base_url="https://grid") as client:
                return await client.get(path, headers={"Accept-Encoding": encoding})

        return asyncio.run(asked())


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def door(home):
    return Door(home)


@pytest.fixture
def found(home, tmp_path):
    path, package = built(tmp_path)
    return installing.install(home, path, package=package)


def policy(answer):
    said = answer.headers["content-security-policy"].split("; ")
    return {name: set(values.split()) for name, _, values in (each.partition(" ") for each in said)}


def test_where_none_is_installed_there_is_none(door):
    assert door.get("/viewer/installed.json").json() == {"installed": False}
    for path in ("/viewer/viewer", "/viewer/app-config.js", "/viewer/1.2.3-00000000/LICENSE"):
        assert door.get(path).status_code == 404


def test_one_that_is_installed_while_the_door_runs_is_there(door, home, tmp_path):
    assert door.get("/viewer/installed.json").json() == {"installed": False}
    path, package = built(tmp_path)
    first = installing.install(home, path, package=package)
    assert door.get("/viewer/installed.json").json() == {"installed": True}
    second = installing.install(home, path, package=package)
    assert door.get(f"/viewer/{first.folder}/{SCRIPT}").status_code == 404
    assert door.get(f"/viewer/{second.folder}/{SCRIPT}").status_code == 200
    installing.remove(home)
    assert door.get("/viewer/installed.json").json() == {"installed": False}
    assert door.get(f"/viewer/{second.folder}/{SCRIPT}").status_code == 404


@pytest.mark.usefixtures("found")
def test_one_that_is_damaged_is_none(door, home):
    (installed.folder_of(home) / installed.FILE).write_text("{}")
    assert door.get("/viewer/installed.json").json() == {"installed": False}
    assert door.get("/viewer/viewer").status_code == 404


def test_the_page_is_for_who_is_logged_in(door, found):
    door.logins.problem = Problem(401, "no_credential", "log in")
    answer = door.get("/viewer/viewer")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?back=/")
    door.logins.problem = Problem(503, "keys_away", "later")
    assert door.get("/viewer/viewer").status_code == 503
    door.logins.problem = None
    page = door.get("/viewer/viewer")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert f'src="/viewer/{found.folder}/{SCRIPT}"' in page.text
    assert f'href="/viewer/{found.folder}/app.bundle.css"' in page.text


@pytest.mark.usefixtures("found")
def test_the_page_has_no_script_in_line_and_nothing_from_elsewhere(door):
    page = door.get("/viewer/viewer").text
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == ["", ""]
    assert re.findall(r' (?:src|href)="(?!/viewer/)[^"]*"', page) == []
    assert "http" not in page


@pytest.mark.usefixtures("found")
def test_the_policy_lets_nothing_else_in(door):
    for path in ("/viewer/viewer", "/viewer/app-config.js"):
        said = policy(door.get(path))
        assert said["script-src"] == {"'self'", "'wasm-unsafe-eval'"}
        assert said["default-src"] == said["worker-src"] == {"'self'"}
        assert said["connect-src"] == {"'self'", "blob:", "data:"}
        assert {
            said[name].pop() for name in ("object-src", "base-uri", "form-action", "frame-ancestors")
        } == {"'none'"}
    assert not [value for values in said.values() for value in values if "//" in value or value == "*"]


def test_only_scripts_of_workers_may_make_functions(door, found):
    under = f"/viewer/{found.folder}/"
    assert "'unsafe-eval'" in policy(door.get(under + WORKER))["script-src"]
    for name in (CHUNK, "app.bundle.css", "LICENSE"):
        assert "'unsafe-eval'" not in policy(door.get(under + name))["script-src"]


def test_pages_and_files_are_apart_from_other_sites(door, found):
    for path in ("/viewer/viewer", "/viewer/app-config.js", f"/viewer/{found.folder}/{WORKER}"):
        headers = door.get(path).headers
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.usefixtures("found")
def test_the_configuration_speaks_to_this_door_alone(door):
    said = door.get("/viewer/app-config.js").text
    assert "http" not in said.replace("httpErrorHandler", "")
    assert said.count("location.origin") == 2
    assert '"showStudyList": false' in said


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize(
    ("stored", "answered"),
    [
        ("1.2.840.10008.1.2.4.201", ("image/jphc", "1.2.840.10008.1.2.4.201")),
        ("1.2.840.10008.1.2.4.202", ("image/jphc", "1.2.840.10008.1.2.4.202")),
        ("1.2.840.10008.1.2.4.50", ("image/jpeg", "1.2.840.10008.1.2.4.50")),
        ("1.2.840.10008.1.2.4.70", ("image/jpeg", "1.2.840.10008.1.2.4.70")),
        ("1.2.840.10008.1.2.4.80", ("image/jls", "1.2.840.10008.1.2.4.80")),
        ("1.2.840.10008.1.2.4.91", ("image/jp2", "1.2.840.10008.1.2.4.91")),
        ("1.2.840.10008.1.2.5", ("image/dicom-rle", "1.2.840.10008.1.2.5")),
        ("1.2.840.10008.1.2.1", ("application/octet-stream", "1.2.840.10008.1.2.1")),
    ],
)
def test_ohif_asks_for_frames_as_they_lie_where_it_has_a_decoder(door, stored, answered):
    said = re.search(r"\.\.\.(\{.*\}),\n", door.get("/viewer/app-config.js").text)[1]
    [source] = json.loads(said)["dataSources"]
    field = ",".join(source["configuration"]["acceptHeader"]).encode()
    scope = {"type": "http", "headers": [(b"accept", field)], "query_string": b""}
    takes = acceptable(Request(scope), Parameters(()))
    chosen = takes.choose(offers(SimpleNamespace(stored=(stored,)), single=True))
    assert (chosen.name, chosen.syntax) == answered
    assert chosen.multipart


@pytest.mark.parametrize("path", ["/viewer/", "/viewer/?StudyInstanceUIDs=1.2"])
def test_without_a_study_one_is_led_to_the_list(door, path):
    answer = door.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_files_are_kept_for_ever_and_sent_small(door, found, home):
    path = f"/viewer/{found.folder}/{SCRIPT}"
    lies = (installed.folder_of(home) / found.folder / SCRIPT).read_bytes()
    zipped = door.get(path)
    assert zipped.headers["content-encoding"] == "gzip"
    assert int(zipped.headers["content-length"]) == len(
        (installed.folder_of(home) / found.folder / f"{SCRIPT}.gz").read_bytes()
    )
    plain = door.get(path, encoding="identity")
    assert "content-encoding" not in plain.headers
    for answer in (zipped, plain):
        assert answer.content == lies
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["vary"].lower() == "accept-encoding"
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert door.get(f"/viewer/{found.folder}/0e.wasm").headers["content-type"] == "application/wasm"


@pytest.mark.parametrize(
    "name",
    [
        "..%2finstalled.json",
        "assets%2f..%2fapp.bundle.css",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        f"{SCRIPT}.gz",
        "index.html",
        "app-config.js",
        "assets",
        "%00",
        "",
    ],
)
def test_only_names_that_were_installed_are_there(door, found, name):
    answer = door.get(f"/viewer/{found.folder}/{name}")
    assert answer.status_code == 404


@pytest.mark.parametrize("name", ["../installed.json", "assets/../LICENSE", "/etc/passwd", "./LICENSE", ""])
def test_a_name_is_looked_up_and_never_followed(home, found, name):
    assert Shelf(home).file(found.folder, "LICENSE")
    assert Shelf(home).file(found.folder, name) is None
    assert Shelf(home).file(f"{found.folder}/assets/..", "LICENSE") is None


def test_a_file_that_is_gone_is_a_404(door, found, home):
    (installed.folder_of(home) / found.folder / f"{SCRIPT}.gz").unlink()
    assert door.get(f"/viewer/{found.folder}/{SCRIPT}").status_code == 404
