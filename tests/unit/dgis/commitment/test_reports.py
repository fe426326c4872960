"""Reports: what is told to whom, when it is decided, over which association, and how often it is tried."""

import socket
from dataclasses import replace

import pytest
import sqlalchemy as sa

from catalog.audit import trail
from catalog.callers import Caller, Right
from catalog.tables import grants
from dgis.commitment import rows
from dgis.commitment.overview import again
from dgis.dimse.references import Reference
from dgis.dimse.services import Destination
from tests.tools.commitment import Listener
from tests.unit.dgis.commitment.asking import Asking, published, references, session
from tests.unit.dgis.site import CLEARED, UNCLEARED

TITLE = "HOSPITAL"
MR = "1.2.840.10008.5.1.4.1.1.4"


def reaching(site, port, caller=CLEARED, name=None):
    return Asking(site, {TITLE: Destination(TITLE, "127.0.0.1", port, caller)}, name)


def judged(site, asking, images=None, **who):
    images = published(site) if images is None else images
    asking.ask(references(images), **who)
    asking.look()
    asking.desk.ended(session())
    return images


def entries(site, writer):
    with site.engine.connect() as connection:
        return [entry.happening for entry in trail.entries(connection, writer)]


def test_a_report_goes_to_the_destination_of_the_calling_title_in_the_role_of_a_provider(site):
    with Listener(TITLE) as listener:
        asking = reaching(site, listener.port)
        images = judged(site, asking)
        assert asking.reporter.run_once()
        assert not asking.reporter.run_once()
        (report,) = listener.reports
    assert listener.roles == [("1.2.840.10008.1.20.1", False, True)]
    assert (report.event_type, report.transaction, report.failed) == (1, "1.2.3", [])
    assert report.committed == [(image.sop_class_uid, image.sop_instance_uid) for image in images]
    assert report.data.RetrieveAETitle == "DGIS"
    (row,) = asking.transactions
    assert (row.state, row.last_error) == ("reported", None)
    assert asking.instances == []  # what a transaction was about is forgotten with it


def test_every_instance_that_was_asked_about_is_in_the_report(site):
    with Listener(TITLE) as listener:
        asking = reaching(site, listener.port)
        images = published(site)
        asked = [*references(images), Reference(MR, "1.2.3.4"), Reference(MR, images[0].sop_instance_uid)]
        asking.ask(asked)
        asking.look(61)
        asking.desk.ended(session())
        asking.reporter.run_once()
        (report,) = listener.reports
    assert report.event_type == 2
    assert report.committed == [tuple(each) for each in references(images)]
    assert report.failed == [(MR, "1.2.3.4", 0x0112), (MR, images[0].sop_instance_uid, 0x0119)]


@pytest.mark.parametrize("answer", [0x0110, 0x0112, None], ids=["failed", "no such instance", "aborted"])
def test_a_report_that_is_not_taken_is_sent_again_later(site, answer):
    with Listener(TITLE, [answer]) as listener:
        asking = reaching(site, listener.port)
        judged(site, asking)
        asking.reporter.run_once()
        (row,) = asking.transactions
        assert (row.state, row.attempts) == ("judged", 1)
        assert row.last_error
        assert not asking.reporter.run_once()  # not before its time
        site.clock.pass_seconds(31)
        asking.reporter.run_once()
        assert len(listener.reports) == 2
        assert listener.reports[0].committed == listener.reports[1].committed
    assert asking.transactions[0].state == "reported"


def test_nobody_there_is_tried_for_days_and_then_given_up(site):
    asking = reaching(site, 1)
    judged(site, asking)
    tries = 0
    while asking.transactions[0].state == "judged":
        site.clock.pass_seconds(6 * 3600)
        tries += asking.reporter.run_once()
    (row,) = asking.transactions
    assert row.state == "given up"
    assert "not reached" in row.last_error
    assert tries == 4  # a day, in steps of six hours
    (refused,) = [one for one in entries(site, "gateway-1/worker") if one.event == "refusal"]
    assert refused.detail["words"] == "nobody took the report"
    assert asking.instances  # `dgis commitment retry` sends it again


def test_a_destination_that_is_away_keeps_no_other_waiting(site):
    """The first due are those of somebody who is not there: one try of his, then the others' turn."""
    images = published(site, 2)
    with Listener("HOSPITAL_2") as listener:
        asking = Asking(
            site,
            {
                TITLE: Destination(TITLE, "127.0.0.1", 1, CLEARED),
                "HOSPITAL_2": Destination("HOSPITAL_2", "127.0.0.1", listener.port, CLEARED),
            },
        )
        for number in range(5):
            asking.ask(references(images), uid=f"1.{number}")
        asking.look()
        asking.ask(references(images), uid="1.9", who=session(number=2, title="HOSPITAL_2"))
        asking.look(1)
        for number in (1, 2):
            asking.desk.ended(session(number=number))
        while asking.reporter.run_once():
            pass
        assert len(listener.reports) == 1
    tried = sorted((row.calling_ae, row.attempts) for row in asking.transactions)
    assert tried == [(TITLE, 0)] * 4 + [(TITLE, 1), ("HOSPITAL_2", 0)]


def test_a_report_that_is_never_answered_is_sent_again(site):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asking = reaching(site, silent.getsockname()[1])
        judged(site, asking)
        asking.reporter.run_once()
    (row,) = asking.transactions
    assert (row.state, row.attempts) == ("judged", 1)
    assert "too slow" in row.last_error


def test_a_title_that_is_no_destination_is_said_in_words(site):
    asking = Asking(site)
    judged(site, asking)
    asking.reporter.run_once()
    assert "[dicom.destinations]" in asking.transactions[0].last_error


def test_a_listener_that_does_not_take_a_provider_is_said_in_words(site):
    with Listener(TITLE, with_role=False) as listener:
        asking = reaching(site, listener.port)
        judged(site, asking)
        asking.reporter.run_once()
        assert listener.reports == []
    assert "SCP role" in asking.transactions[0].last_error


@pytest.mark.parametrize(
    "destination",
    [UNCLEARED, Caller(TITLE), replace(CLEARED, may=frozenset({Right.RETRIEVE, Right.FIND}))],
    ids=["uncleared", "no peer", "no phi"],
)
def test_a_destination_that_is_not_cleared_is_not_told(site, destination):
    with Listener(TITLE) as listener:
        asking = reaching(site, listener.port, destination)
        judged(site, asking)
        asking.reporter.run_once()
        assert listener.reports == []
    assert "not cleared" in asking.transactions[0].last_error
    told = entries(site, "gateway-1/worker")
    assert [one for one in told if one.event == "commitment"] == []
    (refused,) = [one for one in told if one.event == "refusal"]
    assert "not cleared" in refused.detail["words"]


def test_an_uncleared_requestor_is_told_at_its_uncleared_destination_that_nothing_is_here(site):
    with Listener(TITLE) as listener:
        asking = reaching(site, listener.port, UNCLEARED)
        images = published(site)
        asking.ask(references(images), who=session(UNCLEARED))
        asking.look(61)
        asking.desk.ended(session())
        asking.reporter.run_once()
        (report,) = listener.reports
    assert report.failed == [
        (each.sop_class_uid, each.sop_instance_uid, 0x0112) for each in references(images)
    ]


def test_the_decision_is_that_of_the_moment_the_report_leaves(site):
    with Listener(TITLE) as listener:
        asking = reaching(site, listener.port)
        judged(site, asking)
        with site.engine.begin() as connection:
            connection.execute(sa.delete(grants).where(grants.c.may_phi.is_(True)))
        asking.reporter.run_once()
        (report,) = listener.reports
    assert [reason for *_reference, reason in report.failed] == [0x0112] * 3
    assert report.committed == []


def test_a_report_is_in_the_trail_before_it_leaves(site):
    with Listener(TITLE, [0x0110]) as listener:
        asking = reaching(site, listener.port)
        images = judged(site, asking)
        asking.reporter.run_once()
    (asked,) = [one for one in entries(site, "gateway-1/dicom") if one.event == "commitment"]
    (reported,) = [one for one in entries(site, "gateway-1/worker") if one.event == "commitment"]
    assert (asked.detail["what"], asked.count, asked.address) == ("request", 3, "127.0.0.1")
    assert (reported.detail["what"], reported.detail["committed"]) == ("report", 3)
    assert reported.patients
    assert not any(image.sop_instance_uid in repr(reported.detail) for image in images)


def test_while_the_association_stands_nobody_opens_another(site):
    with Listener(TITLE) as listener:
        asking = reaching(site, listener.port)
        asking.ask(references(published(site)))
        asking.look()
        assert not asking.reporter.run_once()
        due = asking.desk.next_report(session())
        assert [tuple(each) for each in due.outcome.committed]
        assert asking.desk.next_report(session()) is None
        asking.desk.reported(session(), due, 0x0000)
        assert asking.transactions[0].state == "reported"
        site.clock.pass_seconds(3600)
        assert not asking.reporter.run_once()
        assert listener.reports == []


@pytest.mark.parametrize("status", [0x0110, None])
def test_a_report_not_taken_on_its_association_goes_over_another(site, status):
    with Listener(TITLE) as listener:
        asking = reaching(site, listener.port)
        asking.ask(references(published(site)))
        asking.look()
        due = asking.desk.next_report(session())
        asking.desk.reported(session(), due, status)
        site.clock.pass_seconds(31)
        assert asking.reporter.run_once()
        assert len(listener.reports) == 1


def test_an_association_that_ends_meanwhile_leaves_its_report_to_another(site):
    with Listener(TITLE) as listener:
        asking = reaching(site, listener.port)
        asking.ask(references(published(site)))
        asking.look()
        assert asking.desk.next_report(session()) is not None
        asking.desk.ended(session())
        assert not asking.desk.awaits_report(session())
        site.clock.pass_seconds(31)
        assert asking.reporter.run_once()
        assert len(listener.reports) == 1


def test_a_door_that_dies_holds_nothing_for_long(site):
    with Listener(TITLE) as listener:
        asking = reaching(site, listener.port)
        asking.ask(references(published(site)))
        asking.look()
        assert not asking.reporter.run_once()
        site.clock.pass_seconds(31)
        assert asking.reporter.run_once()
        assert len(listener.reports) == 1


def test_another_gateway_reports_what_it_knows_where_to_send(site):
    with Listener(TITLE) as listener:
        asking = reaching(site, 1)
        judged(site, asking)
        stranger, other = Asking(site, name="gateway-2"), reaching(site, listener.port, name="gateway-3")
        assert not stranger.reporter.run_once()
        assert other.reporter.run_once()
        assert not asking.reporter.run_once()
        assert len(listener.reports) == 1


def test_a_door_keeps_what_it_holds_from_others_while_it_lives(site):
    with Listener(TITLE) as listener:
        asking = reaching(site, listener.port)
        asking.ask(references(published(site)))
        asking.look()
        due = asking.desk.next_report(session())
        for _ in range(4):
            site.clock.pass_seconds(20)
            asking.desk.keep()
            assert not asking.reporter.run_once()
        asking.desk.reported(session(), due, 0x0000)
        assert asking.transactions[0].state == "reported"
        asking.desk.keep()
        assert not asking.desk.awaits_report(session())
        assert listener.reports == []


def test_what_was_given_up_is_sent_when_asked_for_and_forgotten_in_the_end(site):
    asking = reaching(site, 1)
    judged(site, asking)
    site.clock.pass_seconds(2 * 86_400)
    asking.reporter.run_once()
    (row,) = asking.transactions
    assert row.state == "given up"
    with site.engine.begin() as connection:
        assert again(connection, row.id, site.clock())
    with Listener(TITLE) as listener:
        assert reaching(site, listener.port).reporter.run_once()
        assert len(listener.reports) == 1
    with site.engine.begin() as connection:
        assert not again(connection, row.id, site.clock())  # it is over


def test_old_transactions_go_and_before_them_what_they_were_about(site):
    asking = reaching(site, 1)
    judged(site, asking)
    site.clock.pass_seconds(2 * 86_400)
    asking.reporter.run_once()
    now_ms = site.clock() + 1
    with site.engine.begin() as connection:
        assert rows.clear(connection, 0, now_ms) == 0
    assert asking.instances == []
    (row,) = asking.transactions
    with site.engine.begin() as connection:
        assert not again(connection, row.id, site.clock())
        assert rows.clear(connection, now_ms, now_ms) == 1
    assert asking.transactions == []
