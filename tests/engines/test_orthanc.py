"""Orthanc has the gateway as a remote DICOMweb server: it finds, pulls a series, and stores one."""

from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread

from deid.files.part10 import read_part10
from dgis.demo import anatomy, kinds, phantoms
from dgis.demo.peer import Peer
from dgis.demo.people import PEOPLE
from tests.engines.orthanc import orthanc, require_orthanc
from tests.gateway import Gateway, wait_until
from tests.tools.credentials import PASSCODE
from tests.tools.stow import file_of

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("orthanc")]

SMALL = replace(kinds.CT, scanner=replace(anatomy.CT, rows=16))
IMAGES = tuple(phantoms.series(SMALL, PEOPLE[0], 4))
OTHERS = tuple(phantoms.series(SMALL, PEOPLE[1], 3))
HOSPITAL, RESEARCH = "hospital", "research"
STUDY, SERIES, NAME = "0020000D", "0020000E", "00100010"


@pytest.fixture(scope="module")
def gateway():
    require_orthanc()
    with Gateway() as gateway:
        hospital = ("--institution", "Demo Hospital", "--department", "Radiology")
        rights = ("--may", "find", "--may", "retrieve")
        gateway.cli(
            "account",
            "add",
            HOSPITAL,
            *hospital,
            *rights,
            "--may",
            "phi",
            "--may",
            "store",
            typed=f"{PASSCODE}\n",
        )
        gateway.cli("account", "add", RESEARCH, *rights, typed=f"{PASSCODE}\n")
        assert Peer("HOSPITAL_1", gateway.address).store(IMAGES, lambda: None) == len(IMAGES)
        gateway.wait_published()
        gateway.cli("cache", "evict", "--all")
        yield gateway


@pytest.fixture(scope="module")
def client(gateway, tmp_path_factory):
    """Orthanc: it comes as the hospital with a token of its account, as a researcher with a passcode."""
    may = [part for right in ("find", "retrieve", "phi", "store") for part in ("--may", right)]
    token = gateway.json("account", "token", "add", HOSPITAL, *may, "--days", "1")["token"]
    url = f"{gateway.web}/dicom-web/"
    servers = {
        HOSPITAL: {"Url": url, "HttpHeaders": {"Authorization": f"Bearer {token}"}},
        RESEARCH: {"Url": url, "Username": RESEARCH, "Password": PASSCODE},
    }
    with orthanc(tmp_path_factory.mktemp("orthanc"), servers) as client:
        yield client


def asked(client, server, what, said):
    answer = client.post(f"/dicom-web/servers/{server}/{what}", json=said)
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(client, server, **keys):
    return asked(client, server, "qido", {"Uri": "/series", "Arguments": keys})


def data_set(file):
    return file[read_part10(file).start :]


def pulled(client, server, match):
    """Have a series pulled; return its files as Orthanc keeps them, which then forgets them."""
    resource = {"Study": match[STUDY]["Value"], "Series": match[SERIES]["Value"]}
    asked(client, server, "retrieve", {"Resources": [resource], "Synchronous": True})
    names = client.get("/instances").json()
    files = [client.get(f"/instances/{name}/file").content for name in names]
    for patient in client.get("/patients").json():
        assert client.delete(f"/patients/{patient}").status_code == 200
    return files


def test_a_cleared_orthanc_pulls_the_bytes_that_were_sent(client):
    (match,) = found(client, HOSPITAL, PatientID=PEOPLE[0].patient_id)
    assert (match[SERIES]["Value"], match[NAME]["Value"]) == (IMAGES[0].series_uid, PEOPLE[0].name)
    came = {data_set(file) for file in pulled(client, HOSPITAL, match)}
    assert came == {each.dataset for each in IMAGES}


def test_another_pulls_the_same_pixels_under_pseudonyms(client):
    assert found(client, RESEARCH, PatientID=PEOPLE[0].patient_id) == []
    (match,) = found(client, RESEARCH, Modality="CT")
    assert match[SERIES]["Value"] != IMAGES[0].series_uid
    files = [dcmread(BytesIO(file)) for file in pulled(client, RESEARCH, match)]
    assert sorted(each.PixelData for each in files) == sorted(each.pixels for each in IMAGES)
    said = {str(each.PatientID) for each in files}
    assert len(said) == 1
    assert PEOPLE[0].patient_id not in said


def test_orthanc_stores_a_series(client, gateway):
    for each in OTHERS:
        assert client.post("/instances", content=file_of(each)).status_code == 200
    (series,) = client.get("/series").json()
    asked(client, HOSPITAL, "stow", {"Resources": [series], "Synchronous": True})
    client.delete(f"/series/{series}")
    gateway.wait_published()
    wait_until(lambda: found(client, HOSPITAL, PatientID=PEOPLE[1].patient_id), 60, "the series is found")
    (match,) = found(client, HOSPITAL, PatientID=PEOPLE[1].patient_id)
    came = {data_set(file) for file in pulled(client, HOSPITAL, match)}
    assert came == {each.dataset for each in OTHERS}
