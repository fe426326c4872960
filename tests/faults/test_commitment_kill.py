"""kill -9 at each step of a storage commitment: whoever was answered with success is told the truth."""

import json
import sqlite3
from contextlib import closing

import pytest
from pydicom.uid import generate_uid

from dgis.demo.files import write_files
from tests.gateway import Gateway, wait_until
from tests.tools import files
from tests.tools.availability import Notified, instances
from tests.tools.commitment import Listener, Requestor
from tests.tools.corpus_run import send_as_they_are
from tests.unit.dgis.site import phantom

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("commitment-kill")]

TITLE = "HOSPITAL_CT"
AT_THE_REQUEST = ("commitment.before_taken", "commitment.taken")
IN_THE_WORKER = (
    "commitment.claimed",
    "commitment.settled",
    "commitment.judged",
    "commitment.report_claimed",
    "commitment.report_sent",
    "commitment.reported",
)
ON_THE_ASSOCIATION = ("commitment.report_claimed", "commitment.report_sent", "commitment.reported")
IN_THE_NOTIFIER = ("availability.claimed", "availability.sent", "availability.noted")
POINTS = {*AT_THE_REQUEST, *IN_THE_WORKER, *ON_THE_ASSOCIATION, *IN_THE_NOTIFIER}
VIEWER = "HOSPITAL_WS"
USED = 0x0131
_STRUCK_SECONDS = 60


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
    with Notified(VIEWER) as listening:
        yield listening


@pytest.fixture(scope="module")
def gateway(images, listener, viewer):
    destinations = {
        TITLE: {"host": "127.0.0.1", "port": listener.port},
        VIEWER: {"host": "127.0.0.1", "port": viewer.port, "notify": True},
    }
    settings = {
        "DGIS__PUBLISH__LEASE_SECONDS": "2",
        "DGIS__COMMITMENT__UNKNOWN_SECONDS": "1",
        "DGIS__DICOM__DESTINATIONS": json.dumps(destinations),
    }
    with Gateway(settings) as gateway:
        send_as_they_are(gateway.address, images)
        gateway.wait_published()
        yield gateway


@pytest.fixture
def pairs(images):
    return [(image.sop_class_uid, image.sop_instance_uid) for image in images]


def reports_of(listener, transaction):
    return [report for report in listener.reports if report.transaction == transaction]


def told(listener, transaction, pairs):
    """The one truth, at least once."""
    wait_until(lambda: reports_of(listener, transaction), 60, "the report comes")
    for report in reports_of(listener, transaction):
        assert (report.event_type, report.committed, report.failed) == (1, pairs, [])


def over(gateway, transaction):
    """By the database, read from beside: a command takes as long as all the rest."""
    question = "SELECT state FROM commitment WHERE transaction_uid = ?"

    def reported():
        with closing(sqlite3.connect(f"file:{gateway.home}/catalog.sqlite?mode=ro", uri=True)) as database:
            return database.execute(question, (transaction,)).fetchall() == [("reported",)]

    wait_until(reported, 60, "the transaction is over")


@pytest.mark.parametrize("point", AT_THE_REQUEST)
def test_a_request_that_was_not_answered_can_be_made_again_and_is_taken_once(gateway, listener, pairs, point):
    transaction = generate_uid()
    gateway.restart(f"{point}:1")
    door = gateway.role_pid("dicom")
    asker = Requestor(gateway.address, TITLE)
    asker.__enter__()
    with pytest.raises(AttributeError):  # no answer has no status
        asker.ask(transaction, pairs)
    wait_until(lambda: door not in gateway.pids(), _STRUCK_SECONDS, "the door is killed")
    gateway.restart()
    with Requestor(gateway.address, TITLE) as again:
        status = again.ask(transaction, pairs)
    assert status == (0 if point == "commitment.before_taken" else USED)
    told(listener, transaction, pairs)
    over(gateway, transaction)


@pytest.mark.parametrize("point", IN_THE_WORKER)
def test_a_worker_that_dies_loses_no_transaction(gateway, listener, pairs, point):
    transaction = generate_uid()
    gateway.restart(f"{point}:1")
    worker = gateway.role_pid("worker")
    with Requestor(gateway.address, TITLE) as asker:
        assert asker.ask(transaction, pairs) == 0
    wait_until(lambda: worker not in gateway.pids(), _STRUCK_SECONDS, "the worker is killed")
    gateway.restart()
    told(listener, transaction, pairs)
    over(gateway, transaction)


@pytest.mark.parametrize("point", ON_THE_ASSOCIATION)
def test_a_door_that_dies_while_it_reports_loses_no_report(gateway, listener, pairs, point):
    transaction = generate_uid()
    gateway.restart(f"{point}:1")
    door = gateway.role_pid("dicom")
    asker = Requestor(gateway.address, TITLE)
    asker.__enter__()
    assert asker.ask(transaction, pairs) == 0
    wait_until(lambda: door not in gateway.pids(), _STRUCK_SECONDS, "the door is killed")
    gateway.restart()
    if point == "commitment.reported":
        assert [report.committed for report in asker.reports] == [pairs]
    else:
        told(listener, transaction, pairs)
    over(gateway, transaction)


@pytest.mark.parametrize("point", IN_THE_NOTIFIER)
def test_a_worker_that_dies_loses_no_notice(gateway, viewer, point):
    images = phantom(2, seed=100 + IN_THE_NOTIFIER.index(point))
    pairs = [(image.sop_class_uid, image.sop_instance_uid) for image in images]
    gateway.restart(f"{point}:1")
    worker = gateway.role_pid("worker")
    send_as_they_are(gateway.address, images)
    wait_until(lambda: worker not in gateway.pids(), _STRUCK_SECONDS, "the worker is killed")
    gateway.restart()

    def notices():
        return [uid for uid, data in viewer.notices if instances(data) == pairs]

    wait_until(notices, 60, "the notice comes")
    wait_until(lambda: not waiting(gateway), 60, "nothing is left to tell")
    assert len(set(notices())) == 1  # at least once, and the same one


def waiting(gateway):
    with closing(sqlite3.connect(f"file:{gateway.home}/catalog.sqlite?mode=ro", uri=True)) as database:
        return database.execute("SELECT series_key FROM availability_notice").fetchall()
