"""DICOMweb of a whole gateway: what each resource answers to whom, other people's client, bad clients."""

import json
import re
import socket
from io import BytesIO

import httpx
import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from dgis.demo import kinds, phantoms
from dgis.demo.peer import Peer
from dgis.demo.people import PEOPLE
from tests.canary import Hunt
from tests.gateway import Gateway, wait_until

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-dicomweb")]

COUNT = 5
IMAGES = tuple(phantoms.series(kinds.CT, PEOPLE[0], COUNT))
PERSON = PEOPLE[0]
PASSCODE = "a long passcode"
JSON, PROBLEM = "application/dicom+json", "application/problem+json"
DICOM_PARTS = 'multipart/related; type="application/dicom"'
XML_PARTS = 'multipart/related; type="application/dicom+xml"'
OCTET_PARTS = 'multipart/related; type="application/octet-stream"'


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as gateway:
        for name, institution in (("hospital", "Demo Hospital"), ("research", "Elsewhere University")):
            account = ("account", "add", name, "--institution", institution, "--department", "Radiology")
            gateway.cli(*account, "--may", "find", "--may", "retrieve", "--may", "phi", typed=f"{PASSCODE}\n")
        assert Peer("HOSPITAL_1", gateway.address).store(IMAGES, lambda: None) == COUNT
        gateway.wait_published()
        yield gateway


@pytest.fixture(scope="module")
def tokens(gateway):
    """A token for each account: a passcode takes long on purpose."""
    return {
        name: httpx.post(f"{gateway.web}/api/credential", json={}, auth=(name, PASSCODE), timeout=60).json()[
            "access_token"
        ]
        for name in ("hospital", "research")
    }


@pytest.fixture(scope="module")
def clients(gateway, tokens):
    made = {
        name: httpx.Client(
            base_url=f"{gateway.web}/dicom-web", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        for name, token in tokens.items()
    }
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(scope="module")
def named(clients):
    """The UIDs of study, series and first instance as each account knows them."""
    found = {}
    for name, client in clients.items():
        (first, *_others) = client.get("/instances", params={"InstanceNumber": "1"}).json()
        found[name] = [first[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
    return found


def resources(uids):
    study, series, instance = uids
    s, e, i = f"/studies/{study}", f"/studies/{study}/series/{series}", ""
    i = f"{e}/instances/{instance}"
    return {"S": s, "E": e, "I": i}


# resource, Accept, status and media type (PS3.18 10.4 and 10.6, 8.7); S, E, I: study, series, instance
TABLE = [
    *[
        (resource, *answer)
        for resource in ("/studies", "/series", "/instances", "{S}/series", "{S}/instances", "{E}/instances")
        for answer in (
            (None, 200, JSON),
            ("application/json", 200, "application/json"),
            (XML_PARTS, 200, XML_PARTS),
            ("text/html", 406, PROBLEM),
        )
    ],
    *[
        (resource, *answer)
        for resource in ("{S}/metadata", "{E}/metadata", "{I}/metadata")
        for answer in ((None, 200, JSON), (XML_PARTS, 200, XML_PARTS), (DICOM_PARTS, 406, PROBLEM))
    ],
    *[
        (resource, *answer)
        for resource in ("{S}", "{E}", "{I}")
        for answer in (
            (None, 200, DICOM_PARTS),
            ("*/*", 200, DICOM_PARTS),
            (f"{DICOM_PARTS}; transfer-syntax=*", 200, DICOM_PARTS),
            (f"{DICOM_PARTS}; transfer-syntax=1.2.840.10008.1.2.4.50", 406, PROBLEM),
            (JSON, 406, PROBLEM),
        )
    ],
    ("{I}", "application/dicom", 200, "application/dicom"),
    ("{E}", "application/dicom", 406, PROBLEM),
    ("{I}/frames/1", None, 200, OCTET_PARTS),
    ("{I}/frames/1", "application/octet-stream", 200, "application/octet-stream"),
    ("{I}/frames/1", "image/png", 406, PROBLEM),
    ("{I}/frames/2", None, 404, PROBLEM),
    ("{I}/frames/x", None, 400, PROBLEM),
    ("{I}/bulkdata/7FE00010", None, 200, OCTET_PARTS),
    ("{I}/bulkdata/00420011", None, 404, PROBLEM),
    ("{I}/bulkdata/x", None, 400, PROBLEM),
    ("/studies/1.2.3", None, 404, PROBLEM),
    ("/studies/x", None, 400, PROBLEM),
    ("/studies?Nonsense=1", None, 400, PROBLEM),
    ("/studies?limit=x", None, 400, PROBLEM),
    ("/studies?PatientID=nobody", None, 200, JSON),
    ("/nothing", None, 404, PROBLEM),
]


@pytest.mark.parametrize("caller", ["hospital", "research"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]} as {row[1]}")
def test_what_every_resource_answers(clients, named, caller, row):
    resource, accept, status, media_type = row
    path = resource.format(**resources(named[caller]))
    request = clients[caller].build_request("GET", path)
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    answer = clients[caller].send(request)
    assert answer.status_code == status, answer.text
    told = re.sub(r"; boundary=.*|; transfer-syntax=.*", "", answer.headers["content-type"])
    assert told == media_type
    assert answer.headers["cache-control"] == "no-store"
    if status >= 400:
        assert answer.json()["status"] == status


def test_nobody_is_told_anything_without_a_credential(gateway, named):
    paths = [row[0].format(**resources(named["research"])) for row in TABLE if row[2] == 200]
    for path in dict.fromkeys(paths):
        answer = httpx.get(f"{gateway.web}/dicom-web{path}")
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"]


def client_for(gateway, tokens, name):
    return DICOMwebClient(f"{gateway.web}/dicom-web", headers={"Authorization": f"Bearer {tokens[name]}"})


@pytest.mark.parametrize("caller", ["hospital", "research"])
def test_other_peoples_client_walks_from_search_to_frames(gateway, tokens, caller):
    client = client_for(gateway, tokens, caller)
    (study,) = client.search_for_studies(search_filters={"ModalitiesInStudy": "CT"})
    study_uid = study["0020000D"]["Value"][0]
    (series,) = client.search_for_series(study_uid, fields=["BodyPartExamined"])
    series_uid = series["0020000E"]["Value"][0]
    instances = client.search_for_instances(study_uid, series_uid)
    assert len(instances) == COUNT
    metadata = client.retrieve_series_metadata(study_uid, series_uid)
    assert [each["00080018"]["Value"] for each in metadata] == [
        each["00080018"]["Value"] for each in sorted(instances, key=lambda one: one["00200013"]["Value"][0])
    ]
    datasets = client.retrieve_series(study_uid, series_uid, media_types=(("application/dicom", "*"),))
    assert len(datasets) == COUNT
    for dataset, described in zip(datasets, metadata, strict=True):
        uid = dataset.SOPInstanceUID
        (frame,) = client.retrieve_instance_frames(study_uid, series_uid, uid, [1])
        assert frame == dataset.PixelData
        (bulk,) = client.retrieve_bulkdata(described["7FE00010"]["BulkDataURI"])
        assert bulk == dataset.PixelData
        assert pydicom.Dataset.from_json(described, lambda *_bulk: b"").Rows == dataset.Rows
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []


def test_the_hospital_gets_the_bytes_it_sent_and_others_the_same_pixels(clients, named):
    got = {}
    for caller, client in clients.items():
        path = resources(named[caller])["I"]
        headers = {"Accept": "application/dicom; transfer-syntax=*"}
        got[caller] = client.get(path, headers=headers).content
    assert got["hospital"].endswith(IMAGES[0].dataset)
    theirs = pydicom.dcmread(BytesIO(got["research"]))
    assert theirs.PixelData == IMAGES[0].pixels
    assert theirs.PatientIdentityRemoved == "YES"


def test_a_frame_as_it_lies_decodes_to_the_pixels(clients, named):
    imagecodecs = pytest.importorskip("imagecodecs")
    answer = clients["research"].get(
        f"{resources(named['research'])['I']}/frames/1", headers={"Accept": "image/jphc"}
    )
    assert answer.headers["content-type"].startswith("image/jphc; transfer-syntax=1.2.840.10008.1.2.4.20")
    decoded = imagecodecs.jpeg2k_decode(answer.content)
    assert np.array_equal(decoded.ravel(), np.frombuffer(IMAGES[0].pixels, decoded.dtype))


def test_no_question_of_others_is_answered_by_an_original(clients, named):
    study, series, instance = named["hospital"]
    asked = {
        "PatientID": PERSON.patient_id,
        "PatientName": PERSON.name,
        "StudyInstanceUID": study,
        "SeriesInstanceUID": series,
        "SOPInstanceUID": instance,
    }
    for keyword, value in asked.items():
        known = clients["hospital"].get("/instances", params={keyword: value})
        assert len(known.json()) in {1, COUNT}, keyword
        others = clients["research"].get("/instances", params={keyword: value})
        never = clients["research"].get("/instances", params={keyword: "1.2.3"})
        assert (others.content, others.headers.get("x-total-count")) == (
            b"[]",
            never.headers["x-total-count"],
        )
    for path in resources(named["hospital"]).values():
        answer, never = clients["research"].get(path), clients["research"].get("/studies/1.2.3")
        assert (answer.status_code, answer.content) == (never.status_code, never.content)


def address(gateway):
    host, _, port = gateway.web.removeprefix("http://").rpartition(":")
    return host, int(port)


BAD_PATHS = [
    b"/dicom-web/studies/../../../etc/passwd",
    b"/dicom-web/studies/%2e%2e%2f%2e%2e",
    b"/dicom-web/studies/1.2%00.3",
    b"/dicom-web/studies/1.2/series/%ff%fe",
    b"/dicom-web/studies?PatientID=%ff%fe",
    b"/dicom-web/studies?" + b"includefield=PatientAge&" * 1200,
    b"/dicom-web/studies?PatientName=" + b"%2A" * 10_000,
    b"/dicom-web/studies?includefield=" + b"PatientAge," * 2900,
    b"/dicom-web/studies?limit=99999999999999999999",
    b"/dicom-web/studies?" + b"x" * 33_000,
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: path[:40].decode())
def test_bad_input_is_answered_and_hinders_nobody(gateway, tokens, path):
    pid = gateway.role_pid("web")
    said = f" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {tokens['research']}\r\n\r\n"
    with socket.create_connection(address(gateway), timeout=30) as connection:
        connection.sendall(b"GET " + path + said.encode())
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    status = int(answer.split(b" ", 2)[1])
    assert status in {200, 400, 404, 413, 414}
    assert httpx.get(f"{gateway.web}/healthz").status_code == 200
    assert gateway.role_pid("web") == pid


def test_a_client_that_goes_away_ends_its_transfer(gateway, tokens, named):
    """It asks for a series and reads nothing: the trail says that it was gone, or that all had left."""
    path = resources(named["hospital"])["E"]
    before = len(transfers(gateway))
    for _ in range(3):
        with socket.create_connection(address(gateway), timeout=30) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            said = f"Host: x\r\nAuthorization: Bearer {tokens['hospital']}\r\n\r\n"
            connection.sendall(f"GET /dicom-web{path} HTTP/1.1\r\n{said}".encode())
            connection.recv(1024)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: len(transfers(gateway)) > before, 60, "the transfers are recorded")
    assert httpx.get(f"{gateway.web}/healthz").status_code == 200
    assert "request_failed" not in gateway.log()


def transfers(gateway):
    return gateway.json("audit", "list", "--event", "transfer", "--limit", "1000")


def test_nothing_identifying_is_in_what_the_door_logs(gateway, clients, named):
    clients["hospital"].get("/studies", params={"PatientName": PERSON.name, "PatientID": PERSON.patient_id})
    clients["research"].get("/studies", params={"PatientName": PERSON.name, "NoSuchAttribute": "x"})
    hunt = Hunt([PERSON.patient_id, PERSON.name.split("^")[0], *named["hospital"]])
    assert not hunt.find(gateway.log().encode())
    assert not hunt.find(json.dumps(httpx.get(f"{gateway.web}/metrics").text).encode())


def test_without_a_node_or_the_cache_the_answer_says_so(gateway, clients, named):
    for letter in "abc":
        gateway.take_away(letter)
    try:
        answer = clients["research"].get(resources(named["research"])["I"])
        assert (answer.status_code, answer.json()["reason"]) == (503, "not_now")
    finally:
        for letter in "abc":
            gateway.bring_back(letter)
