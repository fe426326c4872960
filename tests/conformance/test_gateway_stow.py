"""STOW-RS against a gateway: what is stored comes back, bad bodies hinder nobody, a kill loses nothing."""

import socket
import threading
import warnings
from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import httpx
import pytest
import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmread

from dgis.demo import anatomy, kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.gateway import Gateway, wait_until
from tests.tools import wire
from tests.tools.credentials import PASSCODE
from tests.tools.fetching import HOSPITAL, get, studies, whole
from tests.tools.stow import BOUNDARY, FAILED, KEPT, OTHER, REASON, RELATED, body, file_of, uids

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("gateway-stow")]

MEGABYTE = 1 << 20
PAIRS = [(kinds.PET.sop_class_uid, wire.EXPLICIT)]
SMALL = replace(kinds.PET, scanner=replace(anatomy.PET, rows=16))
SENDER, READER = ("ct1", PASSCODE), ("reader", PASSCODE)


def accounts(gateway):
    hospital = ("--department", "Radiology", "--institution", "Demo Hospital")
    gateway.cli("account", "add", "ct1", *hospital, "--may", "store", typed=f"{PASSCODE}\n")
    gateway.cli("account", "add", "reader", "--may", "find", typed=f"{PASSCODE}\n")


@pytest.fixture(scope="module")
def gateway():
    settings = {
        "DGIS__WEB__STORE_BYTES": str(64 * MEGABYTE),
        "DGIS__WEB__STORE_INSTANCE_BYTES": str(8 * MEGABYTE),
    }
    with Gateway(settings) as gateway:
        accounts(gateway)
        yield gateway


def store(gateway, content, kind=RELATED, study="", auth=SENDER, **headers):
    url = f"{gateway.web}/dicom-web/studies{study and '/' + study}"
    return httpx.post(url, content=content, auth=auth, headers={"content-type": kind, **headers}, timeout=120)


def series(person, count, seed):
    return list(phantoms.series(SMALL, PEOPLE[person], count, seed))


def got(gateway, images):
    """Fetch by C-GET, as the hospital, the study that images belong to; return the data sets by UID."""
    study = images[0].study_uid
    wait_until(lambda: study in studies(gateway.address, HOSPITAL), 120, "the study is found")
    received = whole(get(gateway.address, HOSPITAL, [study], PAIRS))
    return {each.sop_instance_uid: each.dataset for each in received}


def test_what_is_stored_comes_back_before_and_after_it_is_published(gateway):
    images = series(0, 3, 11)
    answer = store(gateway, body(*map(file_of, images)))
    assert (answer.status_code, len(uids(answer.json(), KEPT))) == (200, 3)
    wanted = {each.sop_instance_uid: each.dataset for each in images}
    wait_until(lambda: got(gateway, images) == wanted, 120, "all are indexed")
    gateway.wait_published()
    gateway.cli("cache", "evict", "--all")
    assert got(gateway, images) == wanted


def test_dicomweb_client_stores(gateway):
    images = series(1, 2, 12)
    session = requests.Session()
    session.auth = SENDER
    client = DICOMwebClient(f"{gateway.web}/dicom-web", session=session)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the library thinks of its own means is not this test's subject
        said = client.store_instances([dcmread(BytesIO(file_of(each))) for each in images])
    stored = [str(item.ReferencedSOPInstanceUID) for item in said.ReferencedSOPSequence]
    assert stored == [each.sop_instance_uid for each in images]
    assert "FailedSOPSequence" not in said


def test_the_same_again_is_success_and_other_bytes_are_kept_as_a_conflict(gateway):
    (image,) = series(2, 1, 13)
    other = replace(image, dataset=image.dataset[:-2] + b"\1\1")
    for each in (image, image, other):
        assert store(gateway, file_of(each), "application/dicom").status_code == 200
    wait_until(lambda: gateway.json("conflicts", "list"), 60, "the conflict is listed")
    (conflict,) = gateway.json("conflicts", "list")
    assert conflict["from"].startswith("ct1 ")
    wait_until(
        lambda: got(gateway, [image]) == {image.sop_instance_uid: image.dataset}, 60, "the first stays"
    )


def test_of_another_study_and_by_another_caller_nothing_is_kept(gateway):
    (image,) = series(2, 1, 14)
    answer = store(gateway, body(file_of(image)), study="1.2.3")
    assert (answer.status_code, uids(answer.json(), FAILED, REASON)) == (409, [0xA900])
    refused = store(gateway, body(file_of(image)), auth=READER)
    assert (refused.status_code, refused.json()["reason"]) == (403, "may_not_store")
    assert httpx.post(f"{gateway.web}/dicom-web/studies", content=body(file_of(image))).status_code == 401
    assert image.study_uid not in studies(gateway.address, HOSPITAL)


def test_the_trail_says_who_stored_and_who_was_refused(gateway):
    store(gateway, body(file_of(series(2, 1, 15)[0]), b"no file"))

    def said():
        entries = gateway.json("audit", "list", "--event", "store", "--limit", "1000")
        outcomes = {entry["outcome"] for entry in entries if entry["caller"].startswith("ct1 <")}
        return outcomes == {"success", "minor_failure"}

    wait_until(said, 60, "both are in the trail")


def memory_bytes(pid):
    fields = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in fields.splitlines() if line.startswith("VmRSS"))


def request(length, start=b"", kind=RELATED):
    proof = b64encode(":".join(SENDER).encode())
    return (
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + proof + b"\r\n"
        b"Content-Type: " + kind.encode() + b"\r\n" + length + b"\r\n\r\n" + start
    )


PART = b"--" + BOUNDARY.encode() + b"\r\nContent-Type: application/dicom\r\n\r\n"
BAD = {
    "half a gigabyte announced": request(b"Content-Length: 536870912"),
    "announced and not sent": request(b"Content-Length: 60000000"),
    "a part without end": request(b"Transfer-Encoding: chunked", b"5\r\n" + PART[:5] + b"\r\n"),
    "noise in chunks": request(b"Transfer-Encoding: chunked", b"5\r\nhello\r\nzz\r\n"),
    "less than announced": request(b"Content-Length: 5000", PART + file_of(series(0, 1, 16)[0])[:700]),
    "a header line without end": request(b"Content-Length: 60000000", PART[:-2] + b"X: " + b"x" * MEGABYTE),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_sender_hinders_nobody(gateway, case):
    pid = gateway.role_pid("web")
    store(gateway, body(file_of(series(1, 1, 17)[0])))
    before = memory_bytes(pid)
    host, _, port = gateway.web.removeprefix("http://").rpartition(":")
    senders = [socket.create_connection((host, int(port)), timeout=60) for _ in range(8)]
    for each in senders:
        with suppress(OSError):
            each.sendall(BAD[case])
    answer = store(gateway, body(file_of(series(1, 1, 17)[0])))
    assert answer.status_code == 200
    assert memory_bytes(pid) - before < 100 * MEGABYTE
    for each in senders:
        each.close()
    assert gateway.role_pid("web") == pid


def test_ten_thousand_parts_of_nothing_are_answered(gateway):
    answer = store(gateway, body(*[b"x"] * 10_000))
    assert (answer.status_code, len(uids(answer.json(), OTHER, REASON))) == (409, 10_000)


def test_too_long_a_body_gets_a_problem_document(gateway):
    sent = threading.Event()

    def endless():
        yield PART
        for _ in range(80):
            yield bytes(MEGABYTE)
        sent.set()

    try:
        answer = store(gateway, endless())
    except httpx.TransportError:  # it went on sending, and was cut
        assert not sent.is_set()
    else:
        assert (answer.status_code, answer.json()["reason"]) == (413, "too_long")
    assert httpx.get(f"{gateway.web}/healthz").status_code == 200


@pytest.mark.parametrize("point", ["cache.half_body:1", "cache.after_fsync:2"])
def test_a_kill_loses_nothing_that_was_acknowledged(point):
    images = series(0, 5, 18)
    large = replace(images[4], dataset=images[4].dataset + bytes(3 * MEGABYTE))
    gateway = Gateway()
    try:
        accounts(gateway)
        gateway.start(point)
        pid, acknowledged = gateway.role_pid("web"), {}
        for each in (*images[:4], large):
            with suppress(httpx.TransportError):
                if store(gateway, file_of(each), "application/dicom").status_code == 200:
                    acknowledged[each.sop_instance_uid] = each.dataset
        wait_until(lambda: pid not in gateway.pids(), 60, "the point was reached")
        assert len(acknowledged) < 5
        gateway.restart()
        if acknowledged:
            wait_until(lambda: acknowledged.items() <= got(gateway, images).items(), 120, "they are there")
        for each in (*images[:4], large):
            assert store(gateway, file_of(each), "application/dicom").status_code == 200
        wanted = {each.sop_instance_uid: each.dataset for each in (*images[:4], large)}
        wait_until(lambda: got(gateway, images) == wanted, 120, "everything is there")
        assert gateway.json("conflicts", "list") == []
    finally:
        gateway.discard()
