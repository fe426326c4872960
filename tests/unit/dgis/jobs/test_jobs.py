"""Jobs: what is sent to a destination for a caller, and what becomes of it when something goes wrong."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.values import Event
from catalog.callers import Right
from catalog.release import Asker, Releases
from dgis.dimse.services import Destination
from dgis.jobs import queue
from dgis.jobs.prefetching import Bringing
from dgis.jobs.runner import Means, Runner
from dgis.jobs.subjects import subject_of
from dgis.jobs.tables import job
from dgis.jobs.values import Order, State, owner_of
from dgis.keyholder.client import KeyholderClient
from tests.tools.receiver import Receiver
from tests.unit.dgis.commitment.asking import LEASE_MS, QUICK
from tests.unit.dgis.dimse.fakes import NoTranscoder
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom

TITLE = "HOSPITAL_WS"


class Desk:
    """Asks for jobs, and runs them, over one site."""

    def __init__(self, site, receiver, clearance=CLEARED):
        self.site = site
        self.destination = Destination(TITLE, "127.0.0.1", receiver.port, clearance)
        self.runner = self.another()

    def another(self, **changes):
        site = self.site
        means = Means(
            site.engine,
            site.name,
            "DGIS",
            f"{site.name}/dicom",
            Releases(site.engine, f"{site.name}/dicom", site.clock),
            site.retriever(KeyholderClient(site.home / "nobody")),
            NoTranscoder(),
            {TITLE: self.destination},
            site.clock,
            LEASE_MS,
            QUICK,
            Bringing(site.shelf, site.index),
        )
        return Runner(replace(means, **changes))

    def ask(self, caller=CLEARED, series=None):
        asker = Asker(caller, "127.0.0.1", self.destination.caller)
        with self.site.engine.begin() as connection:
            now_ms = self.site.clock()
            subject = subject_of(connection, (phantom(3)[0].study_uid, series), asker, now_ms)
            if subject is None:
                return None
            order = Order(caller, "127.0.0.1", TITLE, subject)
            return queue.ask(connection, self.site.name, order, now_ms)

    def shown(self, job_id):
        with self.site.engine.connect() as connection:
            return queue.one(connection, job_id, None)

    def cancel(self, job_id):
        with self.site.engine.begin() as connection:
            return queue.cancel(connection, job_id, self.site.clock())

    def trail(self):
        with self.site.engine.connect() as connection:
            return [entry.happening for entry in trail.latest(connection, 10, event=Event.TRANSFER)]


@pytest.fixture
def receiver():
    with Receiver(TITLE) as receiver:
        yield receiver


@pytest.fixture
def desk(site, receiver):
    site.receive(phantom(3))
    return Desk(site, receiver)


def numbers(shown):
    return tuple(shown[name] for name in ("total", "completed", "warning", "failed"))


def test_a_study_is_sent_and_the_trail_has_it(desk, receiver):
    job_id = desk.ask()
    assert desk.shown(job_id)["state"] == State.WAITING
    assert desk.runner.run_once()
    assert not desk.runner.run_once()
    shown = desk.shown(job_id)
    assert (shown["state"], numbers(shown), shown["last_error"]) == (State.DONE, (3, 3, 0, 0), None)
    assert {each.sop_instance_uid: each.dataset for each in receiver.instances} == {
        image.sop_instance_uid: image.dataset for image in phantom(3)
    }
    (entry,) = desk.trail()
    assert entry.caller.startswith("hospital ")
    assert (entry.detail["state"], entry.detail["completed"]) == ("done", 3)
    assert entry.detail["receiver"].startswith("hospital ")


def test_a_series_alone_is_sent(desk, receiver):
    desk.ask(series=phantom(3)[0].series_uid)
    desk.runner.run_once()
    assert len(receiver.instances) == 3


def test_no_uid_of_an_original_stands_in_a_row(desk):
    desk.ask(series=phantom(3)[0].series_uid)
    with desk.site.engine.connect() as connection:
        said = repr(connection.execute(sa.select(job)).all())
    assert phantom(3)[0].study_uid not in said
    assert phantom(3)[0].series_uid not in said


@pytest.mark.parametrize(
    ("requester", "clearance"),
    [
        (UNCLEARED, CLEARED),
        (CLEARED, UNCLEARED),
        (replace(CLEARED, may=frozenset({Right.FIND, Right.PHI})), CLEARED),
    ],
)
def test_both_requester_and_destination_must_be_cleared(site, receiver, requester, clearance):
    site.receive(phantom(3))
    assert Desk(site, receiver, clearance).ask(requester) is None


def test_who_loses_the_right_meanwhile_has_nothing_sent(site, desk, receiver):
    job_id = desk.ask()
    desk.destination = replace(desk.destination, caller=UNCLEARED)
    desk.another().run_once()
    shown = desk.shown(job_id)
    assert (shown["state"], numbers(shown)) == (State.FAILED, (0, 0, 0, 0))
    assert "not for requester and destination" in shown["last_error"]
    assert receiver.instances == []


def test_what_the_destination_does_not_take_is_counted(site):
    site.receive(phantom(3))
    first = phantom(3)[0].sop_instance_uid

    def answer(command):
        return 0xA700 if first in command.values() else 0

    with Receiver(TITLE, answer=answer) as receiver:
        desk = Desk(site, receiver)
        job_id = desk.ask()
        desk.runner.run_once()
    shown = desk.shown(job_id)
    assert (shown["state"], numbers(shown)) == (State.FAILED, (3, 2, 0, 1))
    assert shown["last_error"] == "1 instances were not taken"


def test_a_destination_that_is_away_is_said_in_words(site):
    site.receive(phantom(3))
    with Receiver(TITLE) as receiver:
        desk = Desk(site, receiver)
    job_id = desk.ask()
    desk.runner.run_once()
    shown = desk.shown(job_id)
    assert (shown["state"], numbers(shown)) == (State.FAILED, (3, 0, 0, 3))
    assert shown["last_error"].startswith("destination ")
    (entry,) = desk.trail()
    assert entry.detail["words"] == shown["last_error"]


def test_a_job_that_waits_is_cancelled_at_once(desk, receiver):
    job_id = desk.ask()
    assert desk.cancel(job_id)
    assert not desk.cancel(job_id)
    assert not desk.runner.run_once()
    assert desk.shown(job_id)["state"] == State.CANCELLED
    assert receiver.instances == []


def test_a_job_that_runs_is_cancelled_before_its_next_instance(site, monkeypatch):
    monkeypatch.setattr("dgis.jobs.runner._PROGRESS_SECONDS", 0.0)
    site.receive(phantom(3))
    held = {}

    def answer(_command):
        if not held["cancelled"]:
            held["cancelled"] = held["desk"].cancel(held["job"])
        return 0

    with Receiver(TITLE, answer=answer) as receiver:
        desk = Desk(site, receiver)
        held.update(desk=desk, job=desk.ask(), cancelled=False)
        desk.runner.run_once()
        assert len(receiver.instances) == 1
    shown = desk.shown(held["job"])
    assert (shown["state"], numbers(shown), shown["cancelled"]) == (State.CANCELLED, (3, 1, 0, 0), True)


def test_a_runner_that_dies_leaves_the_job_to_another(site, desk, receiver):
    job_id = desk.ask()
    with site.engine.begin() as connection:
        assert queue.claim(connection, site.name, "dead", site.clock(), LEASE_MS)
    assert not desk.runner.run_once()  # somebody has it
    assert desk.shown(job_id)["state"] == State.RUNNING
    site.clock.pass_seconds(LEASE_MS / 1000 + 1)
    assert desk.runner.run_once()
    assert desk.shown(job_id)["state"] == State.DONE
    assert len(receiver.instances) == 3


def test_a_job_that_ends_its_process_is_given_up(site, desk):
    job_id = desk.ask()
    for _ in range(3):
        with site.engine.begin() as connection:
            assert queue.claim(connection, site.name, "dead", site.clock(), LEASE_MS)
        site.clock.pass_seconds(LEASE_MS / 1000 + 1)
    desk.runner.run_once()
    assert (desk.shown(job_id)["state"], desk.shown(job_id)["last_error"]) == (
        State.FAILED,
        "the gateway ended three times while it ran",
    )


def test_who_lost_the_lease_writes_no_end(site, desk):
    job_id = desk.ask()
    with site.engine.begin() as connection:
        lost = queue.claim(connection, site.name, "slow", site.clock(), LEASE_MS)
    site.clock.pass_seconds(LEASE_MS / 1000 + 1)
    desk.runner.run_once()
    version = desk.shown(job_id)["version"]
    with site.engine.begin() as connection:
        queue.release(connection, lost)
    assert (desk.shown(job_id)["state"], desk.shown(job_id)["version"]) == (State.DONE, version)


def test_a_door_that_stops_gives_the_job_back(site, monkeypatch):
    site.receive(phantom(3))
    held = {}

    def answer(_command):
        held["desk"].runner.stop()
        return 0

    with Receiver(TITLE, answer=answer) as receiver:
        desk = held["desk"] = Desk(site, receiver)
        job_id = desk.ask()
        desk.runner.run_once()
        assert desk.shown(job_id)["state"] == State.WAITING
        assert desk.another().run_once()
        assert desk.shown(job_id)["state"] == State.DONE
        assert len(receiver.instances) == 4  # the first again


def test_jobs_are_their_owners_and_old_ones_go(site, desk):
    job_id = desk.ask()
    with site.engine.begin() as connection:
        assert queue.one(connection, job_id, owner_of(CLEARED))
        assert queue.one(connection, job_id, owner_of(UNCLEARED)) is None
        assert queue.listed(connection, owner_of(UNCLEARED), 10) == []
        assert queue.unfinished(connection, owner_of(CLEARED)) == 1
    desk.runner.run_once()
    site.clock.pass_seconds(60)
    with site.engine.begin() as connection:
        assert queue.unfinished(connection, owner_of(CLEARED)) == 0
        assert queue.clear(connection, site.clock()) == 1
