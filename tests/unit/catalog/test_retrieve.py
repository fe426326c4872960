import pytest

from catalog.callers import Caller, Right
from catalog.query import Fault, InvalidQuery, Key, Level, Query, Root
from catalog.retrieve import instances
from tests.unit.catalog.world import (
    ALPHA,
    BETA,
    IMAGE,
    NOW,
    PATIENT,
    SERIES,
    STUDY,
    Image,
    alpha,
    beta,
    ceiled,
    pseudonym,
    researcher,
)


def uids(sent):
    return [each.sop_instance_uid for each in sent]


def test_an_original_uid_names_the_original_for_the_cleared_alone(world):
    world.store_and_publish(Image("1.1"), record="rec-a")
    (sent,) = world.retrieve(alpha, STUDY, StudyInstanceUID="1.2.1")
    assert (sent.original, sent.sop_instance_uid, sent.record_key, sent.position) == (True, "1.1", "rec-a", 0)
    assert sent.phi_instance_id is not None
    for caller in (researcher, ceiled, beta):
        assert world.retrieve(caller, STUDY, StudyInstanceUID="1.2.1") == []
        assert world.retrieve(caller, IMAGE, SOPInstanceUID="1.1") == []
        assert world.retrieve(caller, PATIENT, PatientID="P1") == []


def test_a_pseudonym_names_the_deidentified_form_for_everybody(world):
    world.store_and_publish(Image("1.1"), record="rec-a")
    for caller in (alpha, researcher, ceiled):
        (sent,) = world.retrieve(caller, STUDY, StudyInstanceUID=pseudonym("1.2.1"))
        assert (sent.original, sent.sop_instance_uid, sent.phi_instance_id) == (False, pseudonym("1.1"), None)
        assert (sent.record_key, sent.position, sent.location) == ("rec-a", 0, None)


def test_a_destination_without_clearance_never_receives_an_original(world):
    world.store_and_publish(Image("1.1"))
    assert world.retrieve(alpha, STUDY, researcher, StudyInstanceUID="1.2.1") == []
    assert len(world.retrieve(alpha, STUDY, alpha, StudyInstanceUID="1.2.1")) == 1
    assert world.retrieve(researcher, STUDY, alpha, StudyInstanceUID="1.2.1") == []
    assert len(world.retrieve(researcher, STUDY, alpha, StudyInstanceUID=pseudonym("1.2.1"))) == 1
    deaf = Caller("deaf", ALPHA, frozenset({Right.FIND}))
    assert world.retrieve(alpha, STUDY, deaf, StudyInstanceUID=pseudonym("1.2.1")) == []


def test_what_is_pending_or_withheld_is_sent_as_an_original(world):
    pending, sealed = Image("1.1"), Image("1.2")
    world.store(pending, sealed)
    world.publish(withheld=[sealed], record="rec-a")
    sent = world.retrieve(alpha, SERIES, SeriesInstanceUID="1.2.1.1")
    assert [(each.record_key, each.location) for each in sent] == [
        (None, "segment/1.1/first"),
        ("rec-a", "segment/1.2/first"),
    ]
    assert world.retrieve(researcher, SERIES, SeriesInstanceUID=pseudonym("1.2.1.1")) == []


def test_instances_come_in_series_and_instance_order(world):
    def image(uid, series, series_number, number, contributor=ALPHA):
        values = {"SeriesNumber": series_number, "InstanceNumber": number}
        return Image(uid, series=series, contributor=contributor, values=values)

    world.store(
        image("1.9", "9.3", None, 1),
        image("1.8", "9.2", 2, 10),
        image("1.7", "9.2", 2, 9),
        image("1.6", "9.2", 2, None),
        image("1.5", "9.9", 1, 2),
        image("1.4", "9.9", 1, 1),
        image("1.3", "9.9", 1, 1),
    )
    assert uids(world.retrieve(alpha, STUDY, StudyInstanceUID="1.2.1")) == [
        "1.3",
        "1.4",
        "1.5",
        "1.7",
        "1.8",
        "1.6",
        "1.9",
    ]


def test_parts_of_one_series_by_two_contributors_interleave(world):
    world.store_and_publish(
        *(
            Image(f"1.{n}", contributor=(ALPHA, BETA)[n % 2], values={"InstanceNumber": n})
            for n in (1, 2, 3, 4)
        )
    )
    sent = world.retrieve(researcher, SERIES, SeriesInstanceUID=pseudonym("1.2.1.1"))
    assert uids(sent) == [pseudonym(f"1.{n}") for n in (1, 2, 3, 4)]


def test_lists_and_levels(world):
    world.store(Image("1.1"), Image("1.2"), Image("1.3", study="2.2", series="3.2"))
    assert uids(world.retrieve(alpha, IMAGE, SOPInstanceUID=("1.1", "1.3", "7.7"))) == ["1.1", "1.3"]
    assert uids(world.retrieve(alpha, STUDY, StudyInstanceUID=("1.2.1", "2.2"))) == ["1.1", "1.2", "1.3"]
    assert uids(world.retrieve(alpha, PATIENT, PatientID="P1")) == ["1.1", "1.2", "1.3"]
    assert uids(world.retrieve(alpha, SERIES, StudyInstanceUID="2.2", SeriesInstanceUID="3.2")) == ["1.3"]
    assert uids(world.retrieve(alpha, IMAGE, SOPInstanceUID=tuple(str(n) for n in range(20_000)))) == []


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({}, Fault.UNIQUE_KEY),
        ({"StudyInstanceUID": ()}, Fault.UNIQUE_KEY),
        ({"PatientID": ("P1",)}, Fault.UNIQUE_KEY),
        ({"StudyInstanceUID": ("*",)}, Fault.VALUE),
        ({"StudyInstanceUID": ("1.2.1",), "PatientID": ("P*",)}, Fault.VALUE),
        ({"PatientName": ("Smith",)}, Fault.UNIQUE_KEY),
    ],
)
def test_a_retrieve_names_what_it_wants(world, keys, fault):
    query = Query(Root.PATIENT, Level.STUDY, tuple(Key(*key) for key in keys.items()), relational=True)
    with world.engine.connect() as connection, pytest.raises(InvalidQuery) as refused:
        instances(connection, query, alpha, None, NOW)
    assert refused.value.fault is fault


def test_a_hierarchical_retrieve_needs_the_keys_above(world):
    query = Query(Root.STUDY, Level.SERIES, (Key("SeriesInstanceUID", ("1.2.1.1",)),))
    with world.engine.connect() as connection, pytest.raises(InvalidQuery):
        instances(connection, query, alpha, None, NOW)


def test_no_original_uid_in_a_representation(world):
    world.store(Image("1.2.840.99999.1"))
    (sent,) = world.retrieve(alpha, IMAGE, SOPInstanceUID="1.2.840.99999.1")
    assert "99999.1'" not in repr(sent).replace(str(sent.location), "")
