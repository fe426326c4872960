"""Storage commitment with a whole gateway and pynetdicom on the other side, asking and listening.

dcmtk has no user of storage commitment; pynetdicom takes both roles.
"""

import json

import pytest
from pydicom.uid import generate_uid
from pynetdicom.sop_class import Verification

from catalog.audit.values import Event
from dgis.demo.files import write_files
from tests.gateway import Gateway, wait_until
from tests.tools import files
from tests.tools.availability import Notified, instances
from tests.tools.commitment import Listener, Requestor
from tests.tools.corpus_run import send_as_they_are
from tests.tools.fetching import get_everything, with_native_forms

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-commitment")]

TITLE = "HOSPITAL_CT"
NOBODY = "HOSPITAL_NOBODY"
RESEARCH = "RESEARCH_1"
SETTINGS = {"DGIS__COMMITMENT__UNKNOWN_SECONDS": "3"}


@pytest.fixture(scope="module")
def listener():
    with Listener(TITLE) as listening:
        yield listening


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_files(folder, 1)
    return [files.read(path) for path in sorted(folder.rglob("*.dcm"))]


@pytest.fixture(scope="module")
def viewer():
    with Notified("HOSPITAL_WS") as listening:
        yield listening


@pytest.fixture(scope="module")
def researcher():
    with Notified("RESEARCH_WS") as listening:
        yield listening


@pytest.fixture(scope="module")
def gateway(images, listener, viewer, researcher):
    destinations = {
        TITLE: {"port": listener.port},
        NOBODY: {"port": 1},
        "HOSPITAL_WS": {"port": viewer.port, "notify": True},
        "RESEARCH_WS": {"port": researcher.port, "notify_deidentified": True},
    }
    places = {title: {"host": "127.0.0.1", **said} for title, said in destinations.items()}
    with Gateway({**SETTINGS, "DGIS__DICOM__DESTINATIONS": json.dumps(places)}) as gateway:
        send_as_they_are(gateway.address, images)
        yield gateway


@pytest.fixture
def pairs(images):
    return [(image.sop_class_uid, image.sop_instance_uid) for image in images]


def of(gateway, transaction):
    (row,) = gateway.json("commitment", "list", "--transaction", transaction)
    return row


def test_all_is_committed_on_the_association_that_asked(gateway, pairs):
    transaction = generate_uid()
    with Requestor(gateway.address, TITLE, contexts=[Verification]) as asker:
        assert asker.ask(transaction, pairs) == 0
        assert asker.association.send_c_echo().Status == 0
        (report,) = asker.wait()
    assert (report.event_type, report.transaction) == (1, transaction)
    assert report.committed == pairs
    row = of(gateway, transaction)
    assert (row["state"], row["committed"], row["attempts"]) == ("reported", len(pairs), 0)


def test_all_is_committed_over_an_association_of_the_gateways_own(gateway, listener, pairs):
    before, transaction = len(listener.reports), generate_uid()
    with Requestor(gateway.address, TITLE) as asker:
        assert asker.ask(transaction, pairs) == 0
    *_others, report = listener.wait(before + 1)
    assert asker.reports == []
    assert (report.event_type, report.transaction, report.committed) == (1, transaction, pairs)
    assert listener.roles[-1] == ("1.2.840.10008.1.20.1", False, True)


def test_some_fail_for_reasons(gateway, pairs):
    (of_class, instance), *_ = pairs
    other = next(each for each, _uid in pairs if each != of_class)
    asked = [
        (of_class, instance),
        (other, instance),
        (of_class, "1.2.3.4"),
        ("1.2.840.10008.5.1.1.16", "1.9"),
    ]
    with Requestor(gateway.address, TITLE) as asker:
        asker.ask(generate_uid(), asked)
        (report,) = asker.wait()
    assert report.event_type == 2
    assert report.committed == asked[:1]
    assert [reason for *_pair, reason in report.failed] == [0x0119, 0x0112, 0x0122]


def test_a_transaction_uid_is_used_once(gateway, pairs):
    transaction = generate_uid()
    with Requestor(gateway.address, TITLE) as asker:
        assert asker.ask(transaction, pairs) == 0
        assert asker.ask(transaction, pairs) == 0x0131
        assert asker.ask(transaction, pairs[:1]) == 0x0131
        asker.wait()
        assert asker.ask(transaction, pairs) == 0x0131
    assert [report.committed for report in asker.reports] == [pairs]


def test_nobody_to_report_to_is_said_and_retried_when_asked(gateway, pairs):
    transaction = generate_uid()
    with Requestor(gateway.address, NOBODY) as asker:
        assert asker.ask(transaction, pairs) == 0
    tried = wait_until(lambda: of(gateway, transaction)["attempts"], 60, "the report was tried")
    row = of(gateway, transaction)
    assert (row["state"], tried) == ("judged", 1)
    assert "not reached" in row["last_error"]
    shown = gateway.json("commitment", "show", str(row["id"]))
    assert [each["state"] for each in shown["of"]] == ["committed"] * len(pairs)
    printed = gateway.cli("commitment", "show", str(row["id"])).stdout
    assert not [uid for _of, uid in pairs if uid in printed + json.dumps(shown)]
    gateway.cli("commitment", "retry", str(row["id"]))
    wait_until(lambda: of(gateway, transaction)["attempts"] > 1, 60, "it is tried again")
    assert gateway.cli("commitment", "retry", "999999", check=False).returncode == 1


def test_who_is_not_cleared_is_told_the_same_of_everything(gateway, pairs):
    told = []
    for asked in (pairs, [(of_class, generate_uid()) for of_class, _uid in pairs]):
        with Requestor(gateway.address, RESEARCH) as asker:
            status = asker.ask(generate_uid(), asked)
            (report,) = asker.wait()
        assert [pair for *pair, _reason in report.failed] == [list(pair) for pair in asked]
        told.append((status, report.event_type, report.committed, [each[-1] for each in report.failed]))
    assert told[0] == told[1]
    assert set(told[0][-1]) == {0x0112}


def test_the_trail_names_what_was_asked_and_told_and_no_original(gateway, pairs):
    trail = gateway.json("audit", "list", "--event", Event.COMMITMENT.value)
    assert {entry["detail"]["what"] for entry in trail} >= {"request", "report"}
    assert not [uid for _of, uid in pairs if uid in json.dumps(trail)]
    assert not [uid for _of, uid in pairs if uid in gateway.log()]


def test_destinations_are_told_of_what_they_may_retrieve(gateway, viewer, researcher, images):
    """By notices of whole series; the last of a series names all of it."""
    originals = {image.sop_instance_uid for image in images}

    def named(listener):
        return {uid for _uid, data in listener.notices for _of, uid in instances(data)}

    wait_until(lambda: named(viewer) == originals, 60, "the viewer is told of every original")
    wait_until(lambda: not gateway.json("commitment", "notices"), 60, "nobody waits to be told")
    told = named(researcher)
    assert told
    assert not told & originals
    said = "".join(repr(data.to_json()) for _uid, data in researcher.notices)
    assert not [uid for uid in originals if uid in said]
    stored = with_native_forms((image.sop_class_uid, image.transfer_syntax) for image in images)
    fetched = {one.sop_instance_uid for one in get_everything(gateway.address, RESEARCH, stored)}
    assert told == fetched  # by these UIDs it retrieves them
