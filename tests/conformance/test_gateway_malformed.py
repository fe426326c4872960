"""What a peer sends may be anything: the gateway answers or aborts, and goes on serving everybody else."""

import os
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass

import pytest

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.corpus import corpus_files
from tests.gateway import Gateway, wait_until
from tests.tools import files, wire
from tests.tools.client import Client
from tests.tools.fetching import HOSPITAL, get_everything
from tests.tools.tap import Tap

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-malformed")]

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
GOOD_PAIR = {(kinds.PET.sop_class_uid, wire.EXPLICIT)}
NOT_A_FILE_OF_OURS = "2.25.302657261539847623894723984"


@dataclass(frozen=True)
class Attempt:
    """What came of sending one malformed file."""

    name: str
    status: int | None  # None: the association was aborted


class GoodClient(threading.Thread):
    """Stores one good image after another, each over an association of its own, until told to stop."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self._address, self._stop_asked = address, threading.Event()
        self.statuses: list[int] = []

    def run(self) -> None:
        for instance in phantoms.series(kinds.PET, PEOPLE[2], 100):
            contexts = [(instance.sop_class_uid, [instance.transfer_syntax])]
            with Client(self._address, HOSPITAL, contexts, timeout_seconds=10) as client:
                self.statuses.append(
                    client.store(
                        instance.sop_class_uid,
                        instance.sop_instance_uid,
                        instance.transfer_syntax,
                        instance.dataset,
                    )
                )
            if self._stop_asked.is_set():
                return

    def finish(self) -> None:
        self._stop_asked.set()
        self.join(60)


def send_raw(address: tuple[str, int], path) -> Attempt:
    """Send a file's data set as it lies there, under the identity that it claims or an invented one."""
    raw = path.read_bytes()
    file = _claimed(path)
    sop_class = file.sop_class_uid if file else SECONDARY_CAPTURE
    syntax = file.transfer_syntax if file else wire.EXPLICIT
    uid = file.sop_instance_uid if file else NOT_A_FILE_OF_OURS
    try:
        with Client(address, HOSPITAL, [(sop_class, [syntax])], timeout_seconds=20) as client:
            if not client.accepted:
                return Attempt(path.name, -1)
            number = next(iter(client.accepted))
            dataset = file.dataset if file else raw
            return Attempt(path.name, client.store(sop_class, uid, syntax, dataset, context=number))
    except wire.GoneError:
        return Attempt(path.name, None)


def _claimed(path) -> files.File | None:
    try:
        return files.read(path)
    except Exception:  # noqa: BLE001 - whatever a broken file makes pydicom raise
        return None


@pytest.fixture(scope="module")
def gateway(corpus):
    with Gateway() as gateway:
        yield gateway


@pytest.fixture(scope="module")
def survived(gateway):
    """Every malformed file sent while a good client stores; the journal says what crossed the wire."""
    door = gateway.role_pid("dicom")
    good = GoodClient(gateway.address)
    good.start()
    with Tap(gateway.address) as tap:
        attempts = [send_raw(tap.address, path) for path in corpus_files("malformed")]
    for nonsense in NONSENSE.values():
        shout(gateway.address, nonsense)
    good.finish()
    return door, good, attempts, tap.journal


def shout(address: tuple[str, int], nonsense: bytes) -> None:
    """Connect, send bytes that are no DICOM, and hang up without waiting."""
    with socket.create_connection(address, 10) as connection:
        connection.sendall(nonsense)


_RELEASE = wire.pdu(wire.RELEASE_RQ, bytes(4))
_REQUEST = wire.associate_rq(HOSPITAL, "DGIS", {1: (SECONDARY_CAPTURE, [wire.EXPLICIT])})
NONSENSE = {
    "noise": os.urandom(4096),
    "http": b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "release first": _RELEASE,
    "data first": wire.pdu(wire.DATA, struct.pack(">IBB", 2, 1, 3)),
    "endless PDU": struct.pack(">BBI", wire.RQ, 0, 0xFFFFFFFF) + bytes(1000),
    "half a request": _REQUEST[: len(_REQUEST) // 2],
    "PDV longer than its PDU": _REQUEST + wire.pdu(wire.DATA, struct.pack(">IBB", 0x7FFFFFFF, 1, 3)),
    "PDV of no length": _REQUEST + wire.pdu(wire.DATA, bytes(4)),
    "command that is none": _REQUEST + wire.pdu(wire.DATA, struct.pack(">IBB", 66, 1, 3) + os.urandom(64)),
    "unknown context": _REQUEST + wire.pdu(wire.DATA, struct.pack(">IBB", 2, 77, 3)),
}


def test_every_file_was_answered_or_its_association_aborted(survived):
    _, _, attempts, _ = survived
    assert len(attempts) == len(corpus_files("malformed"))
    statuses = {attempt.status for attempt in attempts}
    assert 0 in statuses  # some are odd, yet whole
    assert statuses - {0, None}  # some cannot be understood, and are told so


def test_the_door_never_died(gateway, survived):
    door, _, _, _ = survived
    assert gateway.role_pid("dicom") == door
    assert door in gateway.pids()
    assert "child_died" not in gateway.log()


def test_a_good_client_was_served_all_the_while(survived):
    _, good, _, _ = survived
    assert not good.is_alive()
    assert len(good.statuses) > 3
    assert set(good.statuses) == {0}


def test_the_status_accounts_for_what_was_turned_away(gateway, survived):
    _, _, _, journal = survived
    refused = Counter(f"0x{sent.status:04X}" for sent in journal if sent.status)
    assert refused

    def counted():
        door = gateway.json("status")["door"]
        return {status: door["store_refused"].get(status) for status in refused} == dict(refused)

    wait_until(counted, 30, "the door has written down, once a second, what it turned away")


def test_whatever_was_answered_with_success_comes_back_as_it_was(gateway, survived):
    _, _, _, journal = survived
    gateway.wait_published()
    accepted = [sent for sent in journal if sent.status == 0]
    pairs = {(sent.sop_class_uid, sent.transfer_syntax) for sent in accepted}
    got = get_everything(gateway.address, HOSPITAL, pairs | GOOD_PAIR)
    received = {one.sop_instance_uid: one.sha256 for one in got}
    sent_as: dict[str, set[str]] = {}
    for sent in accepted:
        sent_as.setdefault(sent.sop_instance_uid, set()).add(sent.sha256)
    assert sent_as
    assert {uid: received.get(uid) in versions for uid, versions in sent_as.items()} == dict.fromkeys(
        sent_as, True
    )
