from catalog.callers import Assertions
from catalog.grants import every
from catalog.ingest import Conflict, Duplicate, New, ingest
from catalog.tables import DEID, PHI, conflict, contributor
from tests.unit.catalog.world import ALPHA, BETA, PATIENT, SERIES, STUDY, Image, alpha, rows

COUNTS = ("NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries", "NumberOfPatientRelatedInstances")


def test_a_new_instance_gets_a_row_at_every_level(world):
    (outcome,) = world.store(Image("1.1"))
    assert isinstance(outcome, New)
    (instance,) = rows(world.engine, PHI.instance)
    assert (instance["id"], instance["series_row"]) == (outcome.phi_instance_id, outcome.phi_series_id)
    assert instance["record_key"] is None
    assert len(rows(world.engine, PHI.patient)) == len(rows(world.engine, PHI.study)) == 1
    assert rows(world.engine, DEID.instance) == []


def test_the_same_bytes_again_are_a_duplicate_and_count_once(world):
    (first,) = world.store(Image("1.1"))
    (again,) = world.store(Image("1.1"))
    assert again == Duplicate(first.phi_instance_id)
    assert rows(world.engine, PHI.series)[0]["instance_count"] == 1


def test_other_bytes_under_a_known_uid_are_kept_aside_once(world):
    world.store(Image("1.1"))
    (other,) = world.store(Image("1.1", content="other"))
    (again,) = world.store(Image("1.1", content="other"))
    (third,) = world.store(Image("1.1", content="third"))
    assert isinstance(other, Conflict)
    assert again == other
    assert third != other
    kept = rows(world.engine, conflict)
    assert [row["location"] for row in kept] == ["segment/1.1/other", "segment/1.1/third"]
    assert rows(world.engine, PHI.instance)[0]["location"] == "segment/1.1/first"


def test_within_a_batch_the_first_wins(world):
    outcomes = world.store(Image("1.1"), Image("1.1"), Image("1.1", content="other"), Image("1.2"))
    assert [type(outcome) for outcome in outcomes] == [New, Duplicate, Conflict, New]
    assert rows(world.engine, PHI.series)[0]["instance_count"] == 2


def test_a_taken_uid_leaves_no_empty_study_behind(world):
    world.store(Image("1.1"))
    world.store(Image("1.1", study="1.9", series="1.9.1", patient="P9", content="other"))
    assert world.values(alpha, STUDY, "StudyInstanceUID") == ["1.2.1"]
    assert world.values(alpha, PATIENT, "PatientID") == ["P1"]


def test_one_study_uid_under_two_patients_stays_two_studies(world):
    world.store(Image("1.1", patient="P1"), Image("1.2", patient="P2", name="Other"))
    found = world.find(alpha, STUDY, "PatientID", "NumberOfStudyRelatedInstances", StudyInstanceUID="1.2.1")
    assert sorted(
        (match.values["PatientID"], match.values["NumberOfStudyRelatedInstances"]) for match in found
    ) == [
        ("P1", 1),
        ("P2", 1),
    ]


def test_one_patient_id_of_two_facilities_stays_two_patients(world):
    world.store(Image("1.1"), Image("1.2", study="1.5", series="1.5.1", facility="Annex"))
    assert len(world.find(alpha, PATIENT, "PatientID", PatientID="P1")) == 2


def test_counts_are_kept_from_series_to_patient(world):
    world.store(
        Image("1.1"),
        Image("1.2"),
        Image("1.3", series="1.2.1.2", values={"Modality": "PR"}),
        Image("1.4", study="1.2.2", series="1.2.2.1"),
    )
    world.store(Image("1.5", series="1.2.1.2", values={"Modality": "PR"}))
    (patient,) = world.find(alpha, PATIENT, *COUNTS)
    assert [patient.values[keyword] for keyword in COUNTS] == [2, 3, 5]
    (study,) = world.find(
        alpha,
        STUDY,
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        StudyInstanceUID="1.2.1",
    )
    assert study.values["ModalitiesInStudy"] == ("CT", "PR")
    assert study.values["NumberOfStudyRelatedSeries"] == 2
    assert study.values["NumberOfStudyRelatedInstances"] == 4
    assert world.values(alpha, SERIES, "NumberOfSeriesRelatedInstances") == [1, 2, 2]


def test_a_later_header_fills_what_the_first_left_empty_and_changes_nothing(world):
    bare = {"PatientSex": None, "StudyDescription": None}
    world.store(Image("1.1", name="", values=bare))
    world.store(Image("1.2", name="Smith^John", values={"PatientSex": "F", "StudyDescription": "CHEST"}))
    world.store(Image("1.3", name="Jones^Mary", values={"PatientSex": "M", "StudyDescription": "ABDOMEN"}))
    (study,) = world.find(alpha, STUDY, "PatientName", "PatientSex", "StudyDescription")
    assert list(study.values.values()) == ["Smith^John", "F", "CHEST"]
    assert len(world.find(alpha, STUDY, "StudyInstanceUID", PatientName="smith*")) == 1
    assert len(world.find(alpha, STUDY, "StudyInstanceUID", PatientName="john", fuzzy=True)) == 1
    assert world.find(alpha, STUDY, "StudyInstanceUID", PatientName="jones*") == []


def test_two_contributors_of_one_study_have_rows_of_their_own(world):
    world.store(Image("1.1"), Image("1.2", contributor=BETA))
    assert len(rows(world.engine, PHI.study)) == 2
    assert len(rows(world.engine, contributor)) == 2


def test_a_contributor_is_granted_its_own_contributions_once(world):
    world.store(Image("1.1"))
    world.store(Image("1.2"))
    world.store(Image("1.3", contributor=Assertions(user="nobody-in-particular")))
    with world.engine.connect() as connection:
        given = [grant for grant in every(connection) if grant.granted_by == "publication"]
    (grant,) = given
    assert grant.who.facts == (("department", ALPHA.department), ("institution", ALPHA.institution))
    assert grant.what.contributor_id == rows(world.engine, contributor)[0]["id"]


def test_a_rolled_back_batch_leaves_nothing(world):
    connection = world.engine.connect()
    ingest(connection, [Image("1.1").received()])
    connection.close()
    assert rows(world.engine, PHI.instance) == []
    assert isinstance(world.store(Image("1.1"))[0], New)


def test_nothing_of_an_original_is_in_a_representation(world):
    received = Image("1.1", name="Canary^Bird").received()
    shown = repr(received) + repr(received.attributes)
    assert "Canary" not in shown
    assert received.sha256.hex() not in shown
