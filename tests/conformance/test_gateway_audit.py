"""What a gateway records of its callers, and that a trail that was tampered with is found out."""

import json
import socket
import sqlite3
from contextlib import contextmanager

import pytest

from dgis.demo.files import write_files
from dgis.dimse.associate import encode_request
from dgis.dimse.proposal import AssociateRequest
from tests import dcmtk
from tests.gateway import Gateway, wait_until

pytestmark = [pytest.mark.dcmtk, pytest.mark.timeout(600), pytest.mark.xdist_group("gateway-audit")]

CLEARED = {"department": "Radiology", "institution": "Demo Hospital", "user": "pacs"}
STUDIES = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", "-k", "PatientName")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_files(folder, 2)
    with Gateway() as gateway:
        dcmtk.run("storescu", "-aet", "HOSPITAL_1", "-aec", "DGIS", "+sd", "+r", *gateway.address, folder)
        gateway.wait_published()
        for title in ("HOSPITAL_1", "RESEARCH_1"):
            dcmtk.run("findscu", "-aet", title, "-aec", "DGIS", *STUDIES, *gateway.address)
        dcmtk.run("echoscu", "-aet", "STRANGER", "-aec", "DGIS", *gateway.address, check=False)
        yield gateway


def listed(gateway, **wanted):
    entries = gateway.json("audit", "list", "--limit", "1000")
    return [entry for entry in entries if all(entry[name] == value for name, value in wanted.items())]


def test_identifying_answers_are_recorded_with_who_got_them(gateway):
    (release,) = listed(gateway, event="release")
    assert release["caller"] == "HOSPITAL_1 <pacs@gateway-1>"
    assert (release["count"], len(release["patients"]), release["address"]) == (3, 3, "127.0.0.1")
    assert release["detail"]["how"] == "find"


def test_admissions_refusals_stores_and_queries_are_recorded(gateway):
    wait_until(lambda: listed(gateway, event="association", outcome="minor_failure"), 10, "the refusal")
    assert sum(entry["count"] for entry in listed(gateway, event="store")) == 6
    assert {entry["caller"] for entry in listed(gateway, event="query")} == {
        "HOSPITAL_1 <pacs@gateway-1>",
        "RESEARCH_1 <researcher@gateway-1>",
    }


def test_what_is_sent_is_recorded_first(gateway, tmp_path):
    found = [entry["number"] for entry in listed(gateway, event="release")]
    patient = ("-P", "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=DEMO-8820517")
    dcmtk.run(
        "getscu", "-aet", "HOSPITAL_1", "-aec", "DGIS", "+B", "-od", tmp_path, *patient, *gateway.address
    )
    newest = listed(gateway, event="release")[0]
    assert newest["number"] > max(found)
    assert (newest["detail"]["how"], newest["count"]) == ("retrieve", 2)


def test_a_command_releases_nothing_unrecorded(gateway):
    environment = {"DGIS__CLI__ASSERTIONS": json.dumps(CLEARED)}
    assert len(gateway.json("find", "patient", "-k", "PatientName=*", environment=environment)) == 3
    newest = listed(gateway, event="release")[0]
    assert (newest["writer"], newest["count"], newest["detail"]["how"]) == ("gateway-1/cli", 3, "find")
    before = len(listed(gateway, event="release"))
    assert len(gateway.json("find", "patient")) == 3  # uncleared
    assert len(listed(gateway, event="release")) == before


def test_starts_and_the_configuration_they_find_are_recorded(gateway):
    roles = {(each["detail"]["what"], each["detail"]["role"]) for each in listed(gateway, event="activity")}
    assert roles >= {("start", "dicom"), ("start", "web"), ("start", "worker")}
    first = [each["writer"] for each in listed(gateway, event="configuration")]
    assert sorted(first) == ["gateway-1/dicom", "gateway-1/web", "gateway-1/worker"]
    (given,) = listed(gateway, event="grant")
    assert (len(given["detail"]["given"]), given["detail"]["ended"]) == (1, [])


def test_publications_and_what_came_in_are_recorded_with_what_they_are_of(gateway):
    published = listed(gateway, event="publish")
    assert sum(each["detail"]["published"] for each in published) == 6
    assert {each["writer"] for each in published} == {"gateway-1/worker"}
    assert {tuple(each["detail"]["studies"][0]) for each in published} == {("patient", "study")}
    (store,) = listed(gateway, event="store")
    assert sum(store["detail"]["classes"].values()) == store["count"] == 6


def test_a_query_is_recorded_with_what_it_asked(gateway):
    dcmtk.run(
        *("findscu", "-aet", "RESEARCH_1", "-aec", "DGIS", "-P", "-k", "QueryRetrieveLevel=PATIENT"),
        *("-k", "PatientName=NOBODY*", *gateway.address),
    )

    def asked():
        found = listed(gateway, event="query", caller="RESEARCH_1 <researcher@gateway-1>")
        return [each["detail"]["query"] for each in found]

    wanted = {"root": "patient", "level": "PATIENT", "keys": {"PatientName": ["NOBODY*"]}}
    wait_until(lambda: wanted in asked(), 10, "the query is in the trail")


def test_what_operators_do_is_recorded_once_with_who_did_it(gateway):
    gateway.cli("account", "add", "alice", typed="a long passcode\n")
    gateway.cli("account", "passcode", "alice", typed="another passcode\n")
    gateway.cli("account", "remove", "alice")
    gateway.cli("account", "remove", "alice", check=False)
    gateway.cli("credential", "root")
    gateway.cli("credential", "issue", "--user", "nobody", typed="wrong\n", check=False)
    gateway.cli("keys", "init")
    gateway.cli("keys", "rotate")
    gateway.cli("cache", "evict", "--all")
    gateway.cli("audit", "verify")
    done = [
        (each["event"], each["detail"].get("what"))
        for each in gateway.json("audit", "list", "--limit", "1000")
        if each["writer"] == "gateway-1/cli"
        and (each["event"], each["detail"].get("what")) != ("trail", "list")
    ]
    wanted = [
        *(("account", what) for what in ("add", "passcode", "remove")),
        ("credential", "root"),
        ("credential", None),
        *(("keys", what) for what in ("init", "rotate")),
        ("delete", "cache"),
        ("trail", "verify"),
    ]
    assert [each for each in done[::-1] if each[0] != "release"][-len(wanted) :] == wanted
    newest = listed(gateway, event="trail")[0]
    assert newest["caller"].startswith("operator <")
    kept = json.dumps(listed(gateway, event="account"))
    assert "a long passcode" not in kept
    assert "another passcode" not in kept


def test_a_flood_of_refusals_is_a_few_entries_that_count_them(gateway):
    def refused():
        return [
            each
            for each in listed(gateway, event="association", outcome="minor_failure")
            if each["detail"].get("words", "").startswith("rejected")
        ]

    before = sum(each["count"] for each in refused())
    rows = len(refused())
    request = encode_request(AssociateRequest("DGIS", "STRANGER", (), 16384))
    for _ in range(1000):
        with socket.create_connection(gateway.address) as caller:
            caller.sendall(request)
            assert caller.recv(1) == b"\x03"  # A-ASSOCIATE-RJ
    wait_until(lambda: sum(each["count"] for each in refused()) == before + 1000, 20, "all are counted")
    assert len(refused()) - rows < 200


@contextmanager
def trail_refusing(gateway):
    """The database takes everything but entries of the trail."""
    with sqlite3.connect(gateway.home / "catalog.sqlite", timeout=30) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    try:
        yield
    finally:
        with sqlite3.connect(gateway.home / "catalog.sqlite", timeout=30) as database:
            database.execute("DROP TRIGGER full")


def test_a_release_that_cannot_be_recorded_does_not_happen_and_receiving_does(gateway, tmp_path):
    releases = len(listed(gateway, event="release"))
    stored = sum(each["count"] for each in listed(gateway, event="store"))
    write_files(tmp_path / "more", 1)
    with trail_refusing(gateway):
        cleared = dcmtk.run(
            "findscu", "-v", "-aet", "HOSPITAL_1", "-aec", "DGIS", *STUDIES, *gateway.address, check=False
        )
        said = cleared.stdout + cleared.stderr
        assert "UnableToProcess" in said
        assert "DEMO" not in said
        got = dcmtk.run(
            *("getscu", "-v", "-aet", "HOSPITAL_1", "-aec", "DGIS", "+B", "-od", tmp_path, "-P"),
            *("-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=DEMO-8820517", *gateway.address),
            check=False,
        )
        assert "Success" not in (got.stdout + got.stderr).split("Received C-GET Response")[-1]
        assert not [path for path in tmp_path.iterdir() if path.is_file()]
        command = gateway.cli(
            *("find", "patient", "-k", "PatientName=*"),
            environment={"DGIS__CLI__ASSERTIONS": json.dumps(CLEARED)},
            check=False,
        )
        assert command.returncode != 0
        others = dcmtk.run("findscu", "-v", "-aet", "RESEARCH_1", "-aec", "DGIS", *STUDIES, *gateway.address)
        assert "Success" in others.stdout + others.stderr
        dcmtk.run(
            "storescu", "-aet", "HOSPITAL_1", "-aec", "DGIS", "+sd", "+r", *gateway.address, tmp_path / "more"
        )
    taken = [path for path in (tmp_path / "more").rglob("*") if path.is_file()]
    wait_until(
        lambda: sum(each["count"] for each in listed(gateway, event="store")) == stored + len(taken),
        20,
        "what was received meanwhile is recorded later",
    )
    assert len(listed(gateway, event="release")) == releases
    gateway.wait_published()


def test_the_trail_holds_and_a_change_is_found_out(gateway):
    assert gateway.json("audit", "verify")["findings"] == []
    with sqlite3.connect(gateway.home / "catalog.sqlite") as database:
        database.execute("UPDATE audit SET caller = 'nobody' WHERE event = 'release'")
    done = gateway.cli("audit", "verify", "--json", check=False)
    assert done.returncode == 1
    faults = {finding["fault"] for finding in json.loads(done.stdout)["findings"]}
    assert faults == {"an entry is not what was written"}
