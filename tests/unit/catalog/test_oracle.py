"""An uncleared caller learns nothing of an original: not by matching, counting, order or refusal."""

import pytest

from catalog.query import InvalidQuery, Level
from tests.unit.catalog.world import (
    ALPHA,
    BETA,
    IMAGE,
    STUDY,
    Image,
    alpha,
    beta,
    ceiled,
    pseudonym,
    researcher,
)

HIT = Image(
    "1.1",
    patient="SECRET1",
    name="Canary^Yellow",
    values={"StudyDescription": "SECRET CHEST", "StudyID": "SID9", "ReferringPhysicianName": "Doc^Tor"},
)
KEYS = {
    "PatientID": ("SECRET1", "SEC*", "SECRET?", ["SECRET1", "OTHER"]),
    "PatientName": ("Canary^Yellow", "CAN*", "*ary*", "?anary^Yellow"),
    "PatientBirthDate": ("19700101", "19600101-19800101", "-19750101"),
    "AccessionNumber": ("ACC1.2.1", "ACC*"),
    "StudyDate": ("20240301", "20240101-20241231"),
    "StudyTime": ("101500", "1000-1100"),
    "StudyInstanceUID": ("1.2.1", ["1.2.1", "1.2.2"]),
}


@pytest.fixture
def published(world):
    world.store_and_publish(HIT)
    return world


@pytest.mark.parametrize(
    ("keyword", "value"), [(name, value) for name, values in KEYS.items() for value in values]
)
def test_originals_are_matched_for_the_cleared_alone(published, keyword, value):
    assert len(published.find(alpha, STUDY, "PatientID", **{keyword: value})) == 1
    for caller in (researcher, ceiled, beta):
        assert published.find(caller, STUDY, "PatientID", **{keyword: value}) == []


def test_pseudonyms_are_matched_for_everybody_else(published):
    uid = pseudonym("1.2.1")
    assert len(published.find(researcher, STUDY, "StudyInstanceUID", StudyInstanceUID=uid)) == 1
    assert len(published.find(researcher, STUDY, "StudyInstanceUID", StudyDate="20191105")) == 1
    # For the cleared caller the study is an original, found by its own values alone.
    assert published.find(alpha, STUDY, "StudyInstanceUID", StudyInstanceUID=uid) == []


def test_everything_together_is_asked_for_by_a_wildcard_and_stays_a_pseudonym(published):
    for caller in (researcher, ceiled):
        (match,) = published.find(caller, STUDY, *KEYS, PatientName="*")
        shown = str(dict(match.values))
        assert not any(
            secret in shown for secret in ("SECRET", "Canary", "1970", "ACC", "20240301", "'1.2.1'")
        )


def test_fuzzy_and_combined_matching_open_nothing(published):
    assert len(published.find(alpha, STUDY, "PatientID", PatientName="yell", fuzzy=True)) == 1
    assert published.find(researcher, STUDY, "PatientID", PatientName="yell", fuzzy=True) == []
    moment = {"StudyDate": "20240301-20240301", "StudyTime": "1000-1100", "combined_datetime": True}
    assert len(published.find(alpha, STUDY, "PatientID", **moment)) == 1
    assert published.find(researcher, STUDY, "PatientID", **moment) == []


def test_the_order_and_pages_of_pseudonyms_do_not_follow_the_originals(world):
    images = [Image(f"1.{n}", study=f"2.{n}", series=f"3.{n}", patient=f"P{n}") for n in range(8)]
    world.store_and_publish(*images)
    found = [match.values["StudyInstanceUID"] for match in world.find(researcher, STUDY, "StudyInstanceUID")]
    assert found == sorted(found)


def test_an_answer_is_the_same_whether_other_contributors_hold_the_value_or_not(world):
    """What a caller is answered is worked out without the rows it is not cleared for."""
    world.store_and_publish(Image("1.1", contributor=BETA, patient="B1", study="2.1", series="3.1"))
    asked = [("StudyInstanceUID", "NumberOfPatientRelatedStudies", "ModalitiesInStudy")]
    before = [world.find(researcher, level, *wanted) for level in Level for wanted in asked]
    world.store(
        Image("1.2", contributor=ALPHA, patient="B1", study="2.1", series="3.1", values={"Modality": "MR"})
    )
    assert [world.find(researcher, level, *wanted) for level in Level for wanted in asked] == before
    assert world.find(researcher, STUDY, "PatientID", ModalitiesInStudy="MR") == []


def test_a_known_patient_id_opens_nothing_that_others_contributed(world):
    world.store_and_publish(HIT)
    world.store(
        Image("9.9", patient="SECRET1", name="Canary^Yellow", contributor=BETA, study="9.2", series="9.3")
    )
    found = world.find(beta, IMAGE, "SOPInstanceUID", PatientID="SECRET1")
    assert [match.values["SOPInstanceUID"] for match in found] == ["9.9"]
    assert world.retrieve(beta, Level.PATIENT, PatientID="SECRET1")[0].sop_instance_uid == "9.9"
    assert len(world.retrieve(beta, Level.PATIENT, PatientID="SECRET1")) == 1


@pytest.mark.parametrize(
    "value",
    ["' OR 1=1 --", "%", "_", "\\", "*%*", "'; DROP TABLE phi_patient; --", "[a-z]*", "\x00", "\U0001d54f*"],
)
def test_hostile_text_is_only_text(published, value):
    for keyword in ("PatientID", "PatientName", "AccessionNumber", "StudyDescription"):
        for fuzzy in (False, True):
            found = published.find(researcher, STUDY, "PatientID", **{keyword: value}, fuzzy=fuzzy)
            if value.strip("\x00") and not fuzzy:
                assert found == []
    assert len(published.find(researcher, STUDY, "PatientID")) == 1


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDate", "CANARY"),
        ("StudyDate", "20240101-CANARY"),
        ("StudyDate", "-"),
        ("StudyDate", "20241301"),
        ("StudyTime", "CANARY"),
        ("StudyTime", "25"),
        ("StudyInstanceUID", "CANARY*"),
        ("PatientID", "CANARY" + "*?" * 20),
    ],
)
def test_a_refusal_does_not_repeat_what_was_asked(published, keyword, value):
    with pytest.raises(InvalidQuery) as refused:
        published.find(researcher, STUDY, "PatientID", **{keyword: value})
    assert "CANARY" not in str(refused.value)
    assert keyword in refused.value.reason
