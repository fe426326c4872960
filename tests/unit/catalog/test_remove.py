from catalog.ingest import New
from catalog.lookup import standing
from catalog.remove import remove_instance
from catalog.tables import DEID, PHI
from tests.unit.catalog.world import PATIENT, SERIES, STUDY, Image, alpha, researcher, rows

COUNTS = ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "ModalitiesInStudy")


def remove(world, image):
    with world.engine.begin() as connection:
        return remove_instance(connection, world.row(connection, image))


def counts(world, caller):
    return [list(match.values.values()) for match in world.find(caller, STUDY, *COUNTS)]


def test_what_counted_an_instance_counts_it_no_more(world):
    kept, gone = Image("1.1"), Image("1.2", series="3.2", values={"Modality": "PR"})
    world.store_and_publish(kept, gone)
    assert remove(world, gone)
    for caller in (alpha, researcher):
        assert counts(world, caller) == [[1, 1, ("CT",)]]
        assert world.values(caller, PATIENT, "NumberOfPatientRelatedInstances") == [1]
        assert len(world.find(caller, SERIES, "SeriesInstanceUID")) == 1
    assert len(rows(world.engine, PHI.instance)) == len(rows(world.engine, DEID.instance)) == 1


def test_the_last_instance_takes_its_study_out_of_sight(world):
    world.store_and_publish(Image("1.1"))
    remove(world, Image("1.1"))
    for caller in (alpha, researcher):
        assert world.find(caller, STUDY, "StudyInstanceUID") == []
        assert world.find(caller, PATIENT, "PatientID") == []


def test_a_removed_uid_is_free_again_and_counts_anew(world):
    world.store_and_publish(Image("1.1"), Image("1.2"))
    remove(world, Image("1.1"))
    (outcome,) = world.store(Image("1.1", content="other"))
    assert isinstance(outcome, New)
    assert counts(world, alpha) == [[1, 2, ("CT",)]]


def test_removing_what_is_not_there_is_said(world):
    with world.engine.begin() as connection:
        assert not remove_instance(connection, 12345)


def test_the_standing_of_an_original_says_whether_a_record_holds_it(world):
    world.store(Image("1.1"), Image("1.2"))
    world.publish(Image("1.2"))
    with world.engine.connect() as connection:
        found = standing(connection, ["1.1", "1.2", "7.7"])
    assert {uid: each.published for uid, each in found.items()} == {"1.1": False, "1.2": True}
