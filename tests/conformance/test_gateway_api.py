"""`/api` of a whole gateway: requests of its description, and others, end in order; commands say the same."""

import zipfile
from contextlib import nullcontext, suppress
from dataclasses import replace
from io import BytesIO

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from dgis.demo import anatomy, kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.gateway import Gateway, wait_until
from tests.tools.credentials import PASSCODE
from tests.tools.receiver import Receiver
from tests.tools.stow import RELATED, body, file_of

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("gateway-api")]

RIGHTS = ("find", "retrieve", "phi", "store", "administer")
CASES = 10  # of each operation and mode
SETTINGS = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def receiver():
    with Receiver("HOSPITAL_WS") as receiver:
        yield receiver


@pytest.fixture(scope="module")
def gateway(receiver):
    with Gateway(destinations={"HOSPITAL_WS": receiver.port}) as gateway:
        rights = [part for right in RIGHTS for part in ("--may", right)]
        hospital = ("--department", "Radiology", "--institution", "Demo Hospital")
        gateway.cli("account", "add", "boss", *hospital, *rights, typed=f"{PASSCODE}\n")
        everything = ("--may", "administer", "--everything", "--reason", "runs it")
        gateway.cli("grant", "add", "--user", "boss", *everything)
        yield gateway


@pytest.fixture(scope="module")
def token(gateway):
    """A passcode takes long on purpose: one login for all requests."""
    answer = httpx.post(f"{gateway.web}/api/credential", json={}, auth=("boss", PASSCODE), timeout=60)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def published(gateway, token, person, seed):
    """Three small images, stored over HTTP and in the grid."""
    small = replace(kinds.PET, scanner=replace(anatomy.PET, rows=16))
    images = list(phantoms.series(small, PEOPLE[person], 3, seed))
    stored = httpx.post(
        f"{gateway.web}/dicom-web/studies",
        content=body(*map(file_of, images)),
        headers={**token, "content-type": RELATED},
        timeout=60,
    )
    assert stored.status_code == 200
    gateway.wait_published()
    return images


def job_done(gateway, token, wanted):
    """Ask for a job, and return it when it is over."""
    asked = httpx.post(f"{gateway.web}/api/jobs", json=wanted, headers=token, timeout=60)
    assert asked.status_code == 202, asked.text

    def over():
        job = httpx.get(f"{gateway.web}/api/jobs/{asked.json()['id']}", headers=token, timeout=60).json()
        return job["ended_ms"] and job

    job = wait_until(over, 120, "the job is over")
    assert (job["state"], job["completed"], job["last_error"]) == ("done", 3, None)


def all_answer(gateway, token):
    listed = httpx.get(f"{gateway.web}/api/nodes", headers=token, timeout=60).json()
    return {node["answers"] for node in listed} == {True}


def test_records_brought_near_serve_while_no_node_does(gateway, token):
    images = published(gateway, token, 1, 22)
    gateway.cli("cache", "evict", "--all")
    job_done(gateway, token, {"study": images[0].study_uid, "kind": "prefetch"})
    nodes, away = gateway.home / "nodes", gateway.home / "nodes-away"
    nodes.rename(away)
    try:
        answer = httpx.get(
            f"{gateway.web}/dicom-web/studies/{images[0].study_uid}",
            headers={**token, "accept": "application/zip; transfer-syntax=*"},
            timeout=60,
        )
    finally:
        away.rename(nodes)
    wait_until(lambda: all_answer(gateway, token), 120, "the nodes are back")
    assert answer.status_code == 200
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        files = [archive.read(name) for name in archive.namelist()]
    assert len(files) == len(images)
    assert all(file.endswith(image.dataset) for file, image in zip(files, images, strict=True))


def test_what_was_stored_over_http_is_sent_by_a_job(gateway, token, receiver):
    images = published(gateway, token, 0, 21)
    job_done(gateway, token, {"study": images[0].study_uid, "destination": "HOSPITAL_WS"})
    assert {each.sop_instance_uid: each.dataset for each in receiver.instances} == {
        each.sop_instance_uid: each.dataset for each in images
    }


def test_the_commands_and_the_routes_say_the_same(gateway, token):
    def ask(path):
        answer = httpx.get(f"{gateway.web}/api{path}", headers=token, timeout=60)
        assert answer.status_code == 200
        return answer.json()

    assert ask("/series")["items"] == gateway.json("series", "list")
    said, told = gateway.json("node", "list"), ask("/nodes")
    assert told == said
    assert {node["answers"] for node in told} == {True}
    assert {each["id"] for each in gateway.json("grant", "list")} == {each["id"] for each in ask("/grants")}
    verified = httpx.post(f"{gateway.web}/api/audit/verify", headers=token, timeout=60).json()
    by_command = gateway.json("audit", "verify")
    assert verified.keys() == by_command.keys()
    for same in ("findings", "forged", "unreachable"):
        assert verified[same] == by_command[same]
    assert 0 < verified["entries"] <= by_command["entries"]
    status = gateway.json("status")
    assert ask("/status").keys() == status.keys()
    assert ask("/status")["catalog"] == status["catalog"]


def test_who_is_not_an_administrator_is_told_so_in_a_problem_document(gateway):
    gateway.cli("account", "add", "reader", "--may", "find", typed=f"{PASSCODE}\n")
    with httpx.Client(base_url=f"{gateway.web}/api", auth=("reader", PASSCODE), timeout=60) as reader:
        assert reader.get("/status").json()["waiting"] is None
        for path in ("/nodes", "/grants", "/audit", "/records/x"):
            answer = reader.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
            assert answer.json()["reason"] == "not_administrator"


def ask_all(operation, mode, gateway, token):
    """Ask what a mode makes of an operation; return the statuses."""
    answers = []

    @SETTINGS
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case):
        answer = case.call(base_url=gateway.web, headers=token)
        assert answer.status_code < 500, (case.method, case.path, answer.text)
        answers.append(answer.status_code)

    with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
        each()  # where nothing is asked for, nothing can be asked for wrongly
    return answers


def test_no_request_makes_it_fail(gateway, token):
    """The last of this file: what it asks for may deny everybody everything."""
    described = httpx.get(f"{gateway.web}/api/openapi.json").json()
    pid, asked = gateway.role_pid("web"), {}
    for found in schemathesis.openapi.from_dict(described).get_all_operations():
        operation = found.ok()
        if operation.path.startswith("/api/"):
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                name = (operation.method, operation.path)
                asked.setdefault(name, []).extend(ask_all(operation, mode, gateway, token))
    assert {("get", "/api/status"), ("get", "/api/series"), ("post", "/api/grants")} <= set(asked)
    assert all(asked.values())
    assert 200 in asked["get", "/api/status"]
    assert gateway.role_pid("web") == pid
