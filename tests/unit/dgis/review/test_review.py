"""A reviewer's decisions, from the queue through the publisher to both kinds of caller, and back."""

import threading

import numpy as np
import pytest
import sqlalchemy as sa

from catalog.tables import DEID, PHI
from deid.outcome import WithheldReason
from deid.rectangles import Rectangle
from dgis import overview
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.review import log
from dgis.review.tables import review_decision, review_outcome
from dgis.review.values import Choice, Decided, Refused, Ruling, State
from tests.tools import burned_in
from tests.unit.dgis.review.conftest import EVERY, cells
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom

TEXT = Rectangle(*burned_in.TEXT)


def blank_of(image, rectangle=TEXT, frames=None, fill=0):
    wanted = image.pixels.copy()
    chosen = slice(None) if frames is None else frames
    wanted[
        chosen, rectangle.y : rectangle.y + rectangle.height, rectangle.x : rectangle.x + rectangle.width
    ] = fill
    return wanted


def test_what_was_sealed_for_its_pixels_waits_and_the_rest_does_not(desk):
    desk.site.publish([*burned_in.series(2, frames=3), *phantom(2)])
    first, second = desk.queue()
    assert {first.instance, second.instance}.isdisjoint(
        ref.sop_instance_uid for ref in desk.site.refs(CLEARED)
    )
    assert (first.state, first.reason) == (State.WAITING, WithheldReason.DECLARED_BURNED_IN)
    assert (first.modality, first.rows, first.columns, first.frames) == ("US", 96, 128, 3)
    assert first.since_ms == desk.site.clock()
    assert len(desk.site.refs(UNCLEARED)) == 2  # the phantoms


def test_what_is_malformed_waits_for_nobody(desk):
    (image,) = burned_in.series(1)
    desk.site.publish([image])
    with desk.site.engine.begin() as connection:
        connection.execute(PHI.instance.update().values(withheld_reason=WithheldReason.MALFORMED.value))
        key = connection.scalar(sa.select(PHI.instance.c.instance_key))
    assert desk.queue(EVERY) == []
    answer = desk.say([key], Choice.RELEASE)
    assert answer == Refused(
        f"{key}: it is not sealed for its pixels alone: {WithheldReason.MALFORMED.value}"
    )


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "evicted"])
def test_blanked_pixels_are_published_and_the_original_comes_back(desk, cached):
    images = burned_in.series(3, frames=2)
    desk.site.publish(images)
    before = {row.record_key for row in desk.site.rows(PHI.instance)}
    if not cached:
        assert desk.site.evict().instances == 3
    first, second, third = desk.keys()
    assert desk.say([first, third], Choice.BLANK, TEXT) == Decided(2)
    assert [item.state for item in desk.queue(EVERY)] == [State.ON_ITS_WAY, State.WAITING, State.ON_ITS_WAY]
    assert desk.released() == []
    desk.carry_out()
    assert [item.instance for item in desk.queue(EVERY)] == [second]
    released = desk.released()
    wanted = [blank_of(images[0]), blank_of(images[2])]
    assert sorted(cells(each).tobytes() for each in released) == sorted(each.tobytes() for each in wanted)
    for each in released:
        assert each.BurnedInAnnotation == "NO"
        assert "113101" in [code.CodeValue for code in each.DeidentificationMethodCodeSequence]
        assert each.PatientID != "MRN-7731"
    assert desk.originals() == {image.sop_instance_uid: image.dataset for image in images}
    parts = desk.site.rows(publish_part)
    assert [(part.state, part.instances) for part in parts] == [("published", 3), ("published", 2)]
    assert len({row.record_key for row in desk.site.rows(PHI.instance)} - before) == 1
    assert desk.site.rows(publish_part_instance) == []


def test_a_release_publishes_the_pixels_as_they_are_and_claims_no_cleaning(desk):
    (image,) = burned_in.series(1)
    desk.site.publish([image])
    assert desk.say(desk.keys(), Choice.RELEASE) == Decided(1)
    desk.carry_out()
    (released,) = desk.released()
    assert np.array_equal(cells(released), image.pixels)
    assert released.BurnedInAnnotation == "YES"
    assert "113101" not in [code.CodeValue for code in released.DeidentificationMethodCodeSequence]
    assert desk.originals() == {image.sop_instance_uid: image.dataset}


@pytest.mark.parametrize("samples", [1, 3], ids=["grey", "colour"])
def test_lossy_pixels_are_decoded_blanked_and_still_called_lossy(desk, samples):
    image = burned_in.instance(frames=3, samples=samples, jpeg=True)
    desk.site.publish([image])
    desk.site.evict()
    desk.say(desk.keys(), Choice.BLANK, TEXT, frames=((1, 2),))
    desk.carry_out()
    (released,) = desk.released()
    assert released.LossyImageCompression == "01"
    assert released.PhotometricInterpretation == ("RGB" if samples == 3 else "MONOCHROME2")
    found = cells(released)
    x, y, width, height = burned_in.TEXT
    assert not found[:2, y : y + height, x : x + width].any()
    assert found[2, y : y + height, x : x + width].any()
    assert np.abs(found[:, 40:].astype(int) - image.pixels[:, 40:]).mean() < 40
    assert desk.originals() == {image.sop_instance_uid: image.dataset}


def test_what_is_kept_leaves_the_queue_and_stays_sealed(desk):
    desk.site.publish(burned_in.series(2))
    first, second = desk.keys()
    assert desk.say([first], Choice.KEEP) == Decided(1)
    assert [item.instance for item in desk.queue()] == [second]
    desk.carry_out()
    assert desk.released() == []
    assert desk.say([first], Choice.RELEASE) == Decided(1)  # somebody thought better of it
    desk.carry_out()
    assert len(desk.released()) == 1


def test_a_whole_series_at_once_takes_what_waits_of_it(desk):
    desk.site.publish([*burned_in.series(3), *burned_in.series(1, patient="MRN-2")])
    keys = desk.keys()
    items = desk.queue()
    series = next(item.series for item in items if sum(one.series == item.series for one in items) == 3)
    kept = next(item.instance for item in items if item.series == series)
    desk.say([kept], Choice.KEEP)
    assert desk.say((), Choice.BLANK, TEXT, series=series) == Decided(2)
    desk.carry_out()
    assert len(desk.released()) == 2
    assert len(desk.queue(EVERY)) == len(keys) - 2
    assert desk.say((), Choice.BLANK, TEXT, series="2.25.1") == Refused(
        "nothing of such a series is there to be decided"
    )


def test_a_decision_that_cannot_be_changes_nothing(desk):
    desk.site.publish(burned_in.series(2, frames=2))
    first, second = desk.keys()
    beside = Rectangle(128, 0, 5, 5)
    for answer, words in (
        (desk.say([first, "2.25.9"], Choice.RELEASE), "2.25.9: no such instance here"),
        (desk.say([first], Choice.BLANK, TEXT, beside), "lies beside an image of 96 rows and 128 columns"),
        (desk.say([first], Choice.BLANK, TEXT, frames=((1, 3),)), "it has 2 frames"),
        (desk.say([first], Choice.WITHDRAW), "nothing to withdraw"),
    ):
        assert isinstance(answer, Refused)
        assert words in answer.reason
    assert desk.site.rows(review_decision) == []
    desk.say([first], Choice.RELEASE)
    assert "decided already: release by Dr. Review" in desk.say([second, first], Choice.KEEP).reason
    desk.carry_out()
    assert "it is published; withdraw that first" in desk.say([first], Choice.KEEP).reason
    assert len(desk.site.rows(review_decision)) == 1


def test_what_is_not_in_the_grid_yet_cannot_be_decided(desk):
    desk.site.receive(burned_in.series(1))
    (key,) = (row.instance_key for row in desk.site.rows(PHI.instance))
    assert desk.say([key], Choice.RELEASE) == Refused(f"{key}: it is not in the grid yet")


@pytest.mark.parametrize(
    "wrong",
    [
        (Choice.RELEASE, (TEXT,), ()),
        (Choice.BLANK, (), ()),
        (Choice.KEEP, (), ((1, 2),)),
        (Choice.BLANK, (TEXT,), ((0, 2),)),
        (Choice.BLANK, (TEXT,), ((3, 2),)),
    ],
)
def test_a_ruling_has_what_belongs_to_it(wrong):
    with pytest.raises(ValueError, match=r"rectangles|frames"):
        Ruling(*wrong)


@pytest.mark.parametrize("choice", [Choice.KEEP, Choice.WITHDRAW])
def test_only_a_decision_to_publish_says_anything_of_pixels(choice):
    with pytest.raises(ValueError, match="publishes nothing"):
        _ = Ruling(choice).on_pixels


@pytest.mark.parametrize("choice", [Choice.KEEP, Choice.WITHDRAW])
def test_a_part_that_was_left_behind_by_another_decision_publishes_nothing(desk, choice):
    desk.site.publish(burned_in.series(1))
    desk.say(desk.keys(), Choice.RELEASE)
    with desk.site.engine.begin() as connection:  # as nobody should: the last word is another one
        connection.execute(review_decision.update().values(choice=choice.value))
    desk.carry_out()
    assert desk.released() == []
    assert [part.state for part in desk.site.rows(publish_part)] == ["published"]


def test_a_published_form_is_withdrawn_and_decided_anew(desk):
    images = burned_in.series(2)
    desk.site.publish(images)
    first, second = desk.keys()
    desk.say([first, second], Choice.RELEASE)
    desk.carry_out()
    assert len(desk.released()) == 2
    assert desk.say([first], Choice.WITHDRAW, by="Dr. Second") == Decided(1)
    assert len(desk.released()) == 1
    (item,) = desk.queue()
    assert (item.instance, item.reason) == (first, WithheldReason.WITHDRAWN)
    originals = {image.sop_instance_uid: image.dataset for image in images}
    assert desk.originals() == originals
    desk.say([first], Choice.BLANK, TEXT)
    desk.carry_out()
    assert sorted(cells(each)[0, 2:11, 4:104].any() for each in desk.released()) == [False, True]
    assert desk.originals() == originals
    with desk.site.engine.connect() as connection:
        said = log.read(connection, first)
    assert [one.ruling.choice for one in said] == [Choice.RELEASE, Choice.WITHDRAW, Choice.BLANK]
    assert [one.previous_id for one in said] == [0, said[0].id, said[1].id]


def test_the_last_instance_of_a_series_that_is_withdrawn_takes_the_series_out_of_sight(desk):
    desk.site.publish(burned_in.series(1))
    desk.say(desk.keys(), Choice.RELEASE)
    desk.carry_out()
    desk.say([desk.site.rows(DEID.instance)[0].instance_key], Choice.WITHDRAW)
    assert desk.site.rows(DEID.instance) == []
    for table in (DEID.series, DEID.study, DEID.patient):
        assert [row.instance_count for row in desk.site.rows(table)] == [0]


def test_what_a_rule_published_can_be_withdrawn_too(desk):
    desk.site.publish(phantom(2))
    key = desk.site.rows(DEID.instance)[0].instance_key
    assert desk.say([key], Choice.WITHDRAW) == Decided(1)
    assert len(desk.released()) == 1
    assert [item.instance for item in desk.queue()] == [key]


def test_a_decision_on_its_way_is_withdrawn_for_one_and_holds_for_the_others(desk):
    desk.site.publish(burned_in.series(3))
    first, second, third = desk.keys()
    desk.say([first, second, third], Choice.RELEASE)
    assert desk.say([second], Choice.WITHDRAW) == Decided(1)
    desk.carry_out()
    assert [item.instance for item in desk.queue(EVERY)] == [second]
    assert len(desk.released()) == 2


def test_a_publisher_at_work_cannot_publish_what_was_withdrawn_meanwhile(desk):
    desk.site.publish(burned_in.series(2))
    first, second = desk.keys()
    desk.say([first, second], Choice.RELEASE)
    publisher = desk.site.publisher("slow")
    commit = publisher._commit

    def late(*what):
        assert desk.say([first], Choice.WITHDRAW) == Decided(1)
        commit(*what)

    publisher._commit = late
    assert publisher.run_once()
    assert desk.released() == []
    desk.carry_out()
    assert len(desk.released()) == 1
    assert [item.instance for item in desk.queue()] == [first]


def test_of_two_who_decide_at_once_one_is_told(desk):
    desk.site.publish(burned_in.series(1))
    keys = desk.keys()
    answers = []

    def say(name):
        answers.append(desk.say(keys, Choice.RELEASE, by=name))

    threads = [threading.Thread(target=say, args=(f"reviewer {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(answer) for answer in answers if isinstance(answer, Decided)) == [Decided]
    assert all("decided already: release by reviewer" in one.reason for one in answers if one != Decided(1))
    assert len(desk.site.rows(review_decision)) == 1
    desk.carry_out()
    assert len(desk.released()) == 1


def test_decisions_at_once_on_different_instances_make_one_whole_log(desk):
    desk.site.publish(burned_in.series(4))
    keys = desk.keys()
    threads = [threading.Thread(target=desk.say, args=([key], Choice.KEEP)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with desk.site.engine.connect() as connection:
        assert log.first_broken(connection) is None
        assert {one.instance for one in log.read(connection)} == set(keys)
    assert desk.queue() == []


def test_what_cannot_be_published_waits_again_and_says_why(desk):
    broken = burned_in.instance(jpeg=True)
    cut = broken.dataset.replace(b"\xff\xda", b"\xff\x00")  # no scan: the decoder refuses it
    broken = burned_in.Burned(
        broken.sop_class_uid, broken.sop_instance_uid, broken.transfer_syntax, cut, broken.pixels
    )
    whole = burned_in.instance(2)
    desk.site.publish([broken, whole])
    desk.say(desk.keys(), Choice.BLANK, TEXT)
    desk.carry_out()
    (item,) = desk.queue()
    assert item.state is State.WAITING
    assert item.words == WithheldReason.NOT_DECODED
    assert item.reason == WithheldReason.DECLARED_BURNED_IN
    assert len(desk.released()) == 1
    assert desk.originals() == {one.sop_instance_uid: one.dataset for one in (broken, whole)}
    alone = desk.say([item.instance], Choice.BLANK, TEXT)
    assert alone == Decided(1)
    before = len(desk.site.rows(review_outcome))
    desk.carry_out()
    assert len(desk.site.rows(review_outcome)) == before + 1
    assert [one.state for one in desk.queue()] == [State.WAITING]


def test_an_altered_log_shows(desk):
    desk.site.publish(burned_in.series(3))
    desk.say(desk.keys(), Choice.KEEP)
    with desk.site.engine.begin() as connection:
        assert log.first_broken(connection) is None
        second = review_decision.c.id == 2
        connection.execute(review_decision.update().where(second).values(said_by="somebody else"))
        assert log.first_broken(connection) == 2
        connection.execute(review_decision.update().where(second).values(said_by="Dr. Review"))
        assert log.first_broken(connection) is None
        connection.execute(review_decision.delete().where(second))
        assert log.first_broken(connection) == 3


def test_what_is_on_its_way_counts_as_pending(desk):
    desk.site.publish(burned_in.series(1))

    def pending():
        with desk.site.engine.connect() as connection:
            return overview.pending(connection, desk.site.log, desk.site.name)["series"]

    assert pending() == 0
    desk.say(desk.keys(), Choice.RELEASE)
    assert pending() == 1
    desk.carry_out()
    assert pending() == 0
    with desk.site.engine.connect() as connection:
        (series,) = overview.series(connection, desk.site.name)
        assert (series["withheld"], series["parts_published"]) == (0, 2)
        assert overview.withheld(connection) == {}


def test_bytes_that_took_an_instances_place_are_decided_anew(desk):
    """A row id may be used again: what was said of other bytes must not be said of these."""
    desk.site.publish(burned_in.series(1))
    desk.say(desk.keys(), Choice.KEEP)
    assert desk.queue() == []
    with desk.site.engine.begin() as connection:
        connection.execute(PHI.instance.update().values(location="elsewhere:0"))
    assert [item.state for item in desk.queue()] == [State.WAITING]
    assert desk.say(desk.keys(), Choice.KEEP) == Decided(1)
