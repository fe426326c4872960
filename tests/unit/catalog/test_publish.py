import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from catalog.tables import DEID, PHI, metadata
from tests.unit.catalog import world as worlds
from tests.unit.catalog.world import IMAGE, Image, alpha, pseudonym, researcher, rows


def test_publishing_makes_the_deidentified_rows_and_points_into_the_record(world):
    images = [Image("1.1"), Image("1.2")]
    world.store(*images)
    assert world.publish(*images, record="rec-a") == 2
    found = rows(world.engine, PHI.instance)
    assert [(row["record_key"], row["position"]) for row in found] == [("rec-a", 0), ("rec-a", 1)]
    assert {row["sop_instance_uid"] for row in rows(world.engine, DEID.instance)} == {
        pseudonym("1.1"),
        pseudonym("1.2"),
    }
    assert rows(world.engine, DEID.series)[0]["instance_count"] == 2


def test_publishing_twice_changes_nothing(world):
    image = Image("1.1")
    world.store(image)
    world.publish(image, record="rec-a")
    before = {table.name: rows(world.engine, table) for table in metadata.sorted_tables if "id" in table.c}
    assert world.publish(image, record="rec-a") == 0
    assert world.publish(image, record="rec-b") == 0
    assert {
        table.name: rows(world.engine, table) for table in metadata.sorted_tables if "id" in table.c
    } == before


def test_late_images_add_to_what_is_published(world):
    world.store_and_publish(Image("1.1"), record="rec-a")
    world.store_and_publish(Image("1.2"), record="rec-b")
    (study,) = rows(world.engine, DEID.study)
    assert (study["series_count"], study["instance_count"]) == (1, 2)


def test_a_withheld_instance_points_into_the_companion_and_has_no_other_form(world):
    image, sealed = Image("1.1"), Image("1.2")
    world.store(image, sealed)
    world.publish(image, withheld=[sealed])
    assert len(rows(world.engine, DEID.instance)) == 1
    assert rows(world.engine, PHI.instance)[1]["withheld_reason"] == "burned-in text likely"
    assert rows(world.engine, PHI.instance)[1]["position"] == 1
    assert world.values(alpha, IMAGE, "SOPInstanceUID") == ["1.1", "1.2"]
    assert world.values(researcher, IMAGE, "SOPInstanceUID") == [pseudonym("1.1")]


def test_two_originals_with_one_pseudonym_are_refused_by_the_index(world, monkeypatch):
    """122 bits make it negligible; should it happen, nobody is shown one image for the other."""
    monkeypatch.setattr(worlds, "pseudonym", lambda uid: pseudonym("1.1") if uid == "1.2" else pseudonym(uid))
    first, second = Image("1.1"), Image("1.2", patient="P2", study="1.9", series="1.9.1")
    world.store_and_publish(first, record="rec-a")
    (form,) = rows(world.engine, DEID.instance)
    world.store_and_publish(second, record="rec-b")
    assert rows(world.engine, DEID.instance) == [form]
    assert world.values(researcher, IMAGE, "SOPInstanceUID") == [pseudonym("1.1")]
    assert {row["record_key"] for row in rows(world.engine, PHI.instance)} == {"rec-a", "rec-b"}
    again = {**form, "id": form["id"] + 1, "record_key": "rec-b"}
    with world.engine.begin() as connection, pytest.raises(IntegrityError):
        connection.execute(insert(DEID.instance), [again])
