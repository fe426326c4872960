from catalog.erase import count_originals, erase_originals, forget_conflict, issuers_of, patients_named
from catalog.tables import DEID, PHI, conflict
from tests.unit.catalog.world import BETA, NOW, PATIENT, STUDY, Image, alpha, beta, researcher, rows

GONE, KEPT = Image("1.1"), Image("2.1", patient="P2", study="2", series="2.1", name="Doe^Jane")


def erase(world, image, until_ms=NOW * 2):
    with world.engine.begin() as connection:
        return erase_originals(connection, image.patient_key, until_ms)


def test_originals_of_one_patient_go_for_every_contributor(world):
    theirs = Image("1.2", study="1.2.2", series="1.2.2.1", contributor=BETA)
    world.store_and_publish(GONE, theirs, KEPT)
    done = erase(world, GONE)
    assert (done.counts.studies, done.counts.series, done.counts.instances) == (2, 2, 2)
    assert world.values(alpha, PATIENT, "PatientID").count("P1") == 0
    assert world.values(beta, STUDY, "StudyInstanceUID").count("1.2.2") == 0
    assert "P2" in world.values(alpha, PATIENT, "PatientID")
    for table in (PHI.patient, PHI.study, PHI.series):
        assert {row["patient_key"] for row in rows(world.engine, table)} == {KEPT.patient_key}
    assert len(rows(world.engine, DEID.instance)) == 3
    assert len(world.find(researcher, STUDY, "StudyInstanceUID")) == 3


def test_what_came_later_stays_and_is_counted_anew(world):
    world.store_and_publish(GONE, Image("1.2"))
    with world.engine.begin() as connection:
        newer = PHI.instance.update().where(PHI.instance.c.sop_instance_uid == "1.2")
        connection.execute(newer.values(received_ms=NOW * 3))
    done = erase(world, GONE)
    assert len(done.instances) == len(done.series_left) == 1
    assert done.series_gone == ()
    assert world.values(alpha, STUDY, "NumberOfStudyRelatedInstances") == [1]


def test_erasing_twice_finds_nothing(world):
    world.store(GONE)
    erase(world, GONE)
    again = erase(world, GONE)
    assert (again.counts.instances, again.instances, again.series_gone, again.record_keys) == (0, (), (), ())


def test_a_patient_is_found_by_pseudonym_or_by_id(world):
    world.store_and_publish(GONE, KEPT)
    with world.engine.connect() as connection:
        (row,) = [row for row in rows(world.engine, DEID.patient) if row["patient_key"] == GONE.patient_key]
        assert patients_named(connection, row["patient_id"]) == {GONE.patient_key}
        assert patients_named(connection, GONE.patient_key) == {GONE.patient_key}
        assert patients_named(connection, "P1") == set()
        assert issuers_of(connection, "P1") == {GONE.patient_key: ""}
        assert count_originals(connection, GONE.patient_key).instances == 1


def test_the_row_of_bytes_held_apart_goes_by_its_bytes(world):
    world.store(GONE)
    world.store(Image("1.1", content="other"), Image("1.1", content="third"))
    held = rows(world.engine, conflict)
    with world.engine.begin() as connection:
        forget_conflict(connection, "1.1", held[0]["sha256"])
    assert rows(world.engine, conflict) == held[1:]
