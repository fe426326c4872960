"""Who is told of which series, under which UIDs, and how often it is tried."""

from dataclasses import replace

import pytest

from catalog.audit import trail
from catalog.callers import Caller, Right
from catalog.tables import DEID
from dgis.availability import queue
from dgis.availability.notifier import Means, Notifier
from dgis.availability.tables import availability_notice
from dgis.availability.telling import Listener
from dgis.dimse.services import Destination
from tests.tools import burned_in
from tests.tools.availability import Notified, instances
from tests.unit.dgis.commitment.asking import LEASE_MS, QUICK
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom

TITLE = "HOSPITAL_WS"
DAY_MS = 86_400_000
NO_PHI = replace(CLEARED, may=frozenset({Right.RETRIEVE, Right.FIND}))


def publish(site, images, titles=(TITLE,)):
    """Publish with the worker's own announcement in the transaction that does it."""
    site.receive(images)
    publisher = site.publisher()
    publisher._announce = lambda connection, series, now_ms: queue.announce(
        connection, site.name, titles, series, now_ms
    )
    site.plan(publisher)
    while publisher.run_once():
        pass


def notifier(site, port, caller=CLEARED, *, deidentified=False):
    destination = Destination(TITLE, "127.0.0.1", port, caller)
    listeners = {TITLE: Listener(destination, deidentified)}
    means = Means(site.engine, "DGIS", f"{site.name}/worker", listeners, DAY_MS, site.clock, LEASE_MS, QUICK)
    return Notifier(means)


def told(site, caller, *, deidentified=False, images=None):
    """All that a destination is told of a published series."""
    publish(site, phantom(3) if images is None else images)
    site.clock.pass_seconds(6)
    with Notified(TITLE) as listener:
        sender = notifier(site, listener.port, caller, deidentified=deidentified)
        while sender.run_once():
            pass
        return listener.notices


def waiting(site):
    return site.rows(availability_notice)


def test_a_cleared_destination_is_told_of_originals(site):
    images = phantom(3)
    ((uid, data),) = told(site, CLEARED)
    assert uid.startswith("2.25.")
    assert instances(data) == [(image.sop_class_uid, image.sop_instance_uid) for image in images]
    assert list(data.ReferencedPerformedProcedureStepSequence) == []
    (series,) = data.ReferencedSeriesSequence
    for item in series.ReferencedSOPSequence:
        assert (item.InstanceAvailability, item.RetrieveAETitle) == ("ONLINE", "DGIS")
    assert waiting(site) == []


@pytest.mark.parametrize("caller", [UNCLEARED, NO_PHI], ids=["uncleared", "no phi"])
def test_a_destination_that_is_not_cleared_is_told_of_pseudonyms_if_it_wants(site, caller):
    ((_uid, data),) = told(site, caller, deidentified=True)
    pseudonyms = {row.sop_instance_uid for row in site.rows(DEID.instance)}
    assert {uid for _of, uid in instances(data)} == pseudonyms
    said = repr(data.to_json())
    originals = phantom(3)
    assert not [image for image in originals if image.sop_instance_uid in said]
    (study,) = {row.study_instance_uid for row in site.rows(DEID.study)}
    assert data.StudyInstanceUID == study


@pytest.mark.parametrize(
    ("caller", "deidentified"),
    [(UNCLEARED, False), (NO_PHI, False), (Caller(TITLE), True), (Caller(TITLE), False)],
)
def test_nobody_else_is_told_anything(site, caller, deidentified):
    assert told(site, caller, deidentified=deidentified) == []
    assert waiting(site) == []


@pytest.mark.parametrize(("caller", "count"), [(UNCLEARED, 0), (CLEARED, 2)], ids=["uncleared", "cleared"])
def test_what_is_withheld_is_told_of_to_the_cleared_alone(site, caller, count):
    notices = told(site, caller, deidentified=True, images=burned_in.series(2, frames=2))
    assert sum(len(instances(data)) for _uid, data in notices) == count


def test_who_may_have_originals_is_told_of_them_and_of_no_pseudonym(site):
    ((_uid, data),) = told(site, CLEARED, deidentified=True)
    assert {uid for _of, uid in instances(data)} == {image.sop_instance_uid for image in phantom(3)}


def test_no_notice_before_its_series_is_published(site):
    site.receive(phantom(2))
    assert waiting(site) == []


def test_a_notice_is_queued_with_the_publication_or_not_at_all(site, monkeypatch):
    def broken(*_arguments):
        raise RuntimeError("the publication is rolled back")

    monkeypatch.setattr("dgis.publisher.publisher.trail.append", broken)
    publish(site, phantom(2))
    assert waiting(site) == site.rows(DEID.instance) == []


@pytest.mark.parametrize("status", [0x0110, 0x0213, 0x0124])
def test_a_notice_that_is_not_taken_is_sent_again_under_the_same_uid(site, status):
    publish(site, phantom(2))
    site.clock.pass_seconds(6)
    with Notified(TITLE, [status, 0x0111]) as listener:
        sender = notifier(site, listener.port)
        assert sender.run_once()
        (row,) = waiting(site)
        assert row.attempts == 1
        assert "0x" in row.last_error
        assert not sender.run_once()
        site.clock.pass_seconds(31)
        assert sender.run_once()
        first, second = listener.notices
    assert first[0] == second[0]
    assert waiting(site) == []  # 0x0111: it is there already


def test_nobody_there_is_tried_for_as_long_as_configured(site):
    publish(site, phantom(2))
    sender = notifier(site, 1)
    tries = 0
    while waiting(site):
        site.clock.pass_seconds(6 * 3600)
        tries += sender.run_once()
    assert tries == 4


def test_a_listener_of_something_else_is_said_in_words(site):
    publish(site, phantom(2))
    site.clock.pass_seconds(6)
    with Notified(TITLE, takes=False) as listener:
        notifier(site, listener.port).run_once()
    (row,) = waiting(site)
    assert row.last_error


def test_later_images_are_told_of_with_all_that_is_there(site):
    images = phantom(4)
    publish(site, images[:2])
    site.clock.pass_seconds(6)
    with Notified(TITLE) as listener:
        sender = notifier(site, listener.port)
        assert sender.run_once()
        publish(site, images[2:])
        site.clock.pass_seconds(6)
        assert sender.run_once()
        (one, first), (other, second) = listener.notices
    assert one != other
    assert (len(instances(first)), len(instances(second))) == (2, 4)


def test_a_part_published_while_a_notice_is_sent_is_told_of_anew(site):
    images = phantom(4)
    publish(site, images[:2])
    site.clock.pass_seconds(6)
    with site.engine.begin() as connection:
        notice = queue.claim(connection, "claim", [TITLE], site.clock(), LEASE_MS)
        assert queue.claim(connection, "other", [TITLE], site.clock(), LEASE_MS) is None
    publish(site, images[2:])
    with site.engine.begin() as connection:
        queue.over(connection, notice)
    (row,) = waiting(site)
    assert (row.version, row.lease_owner) == (2, None)


def test_a_notice_is_in_the_trail_by_keys(site):
    told(site, CLEARED)
    with site.engine.connect() as connection:
        kept = [entry.happening for entry in trail.entries(connection, f"{site.name}/worker")]
    (happening,) = [one for one in kept if one.event == "availability"]
    assert (happening.count, happening.detail["what"]) == (3, "original")
    assert happening.patients
    assert not [image for image in phantom(3) if image.sop_instance_uid in repr(happening)]


def test_what_is_for_nobody_any_more_goes_in_the_end(site):
    publish(site, phantom(2), titles=("GONE",))
    site.clock.pass_seconds(6)
    assert not notifier(site, 1).run_once()
    with site.engine.begin() as connection:
        assert [row["destination"] for row in queue.listed(connection)] == ["GONE"]
        assert queue.clear(connection, site.clock() - 3_600_000) == 0
        assert queue.clear(connection, site.clock()) == 1
        assert queue.listed(connection) == []
