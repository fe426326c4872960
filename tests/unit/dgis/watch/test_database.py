import sqlalchemy as sa

from dgis.watch.database import DatabaseFigures
from replica import status as replica
from replica.figures import shortfalls
from replica.tables import replica_copy, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Kind
from tests.unit.dgis.site import phantom


def told(site, name):
    found = DatabaseFigures(site.engine, "gateway-1").collect()
    return {
        tuple(sample.labels.values()): sample.value
        for family in found
        if family.name == name
        for sample in family.samples
    }


def test_what_waits_is_counted_with_its_age(site):
    site.receive(phantom(3))
    began = site.clock()
    assert told(site, "dgis_queue_series") == {(): 1}
    assert told(site, "dgis_queue_instances") == {(): 3}
    assert told(site, "dgis_queue_oldest_timestamp_seconds") == {(): began / 1000}
    assert told(site, "dgis_instances")[("pending",)] == 3


def test_nothing_waits_after_it_is_published_and_copies_are_there(site):
    site.publish(phantom(3))
    assert told(site, "dgis_queue_series") == {(): 0}
    assert told(site, "dgis_queue_oldest_timestamp_seconds") == {}
    assert told(site, "dgis_instances")[("published",)] == 3
    assert sum(told(site, "dgis_copies_available").values()) == len(site.rows(replica_copy))
    assert told(site, "dgis_objects_short") == {("record",): 0, ("sealed",): 0}
    assert told(site, "dgis_scrub_oldest_timestamp_seconds") == {
        (): min(row.verified_ms for row in site.rows(replica_copy)) / 1000
    }


def test_copies_in_trouble_are_told_by_node_and_state(site):
    site.publish(phantom(3))
    (name,) = {row.id for row in site.rows(replica_object) if row.kind == Kind.RECORD}
    node = site.rows(replica_copy)[0].node
    with site.engine.begin() as connection:
        of_record = replica_copy.c.object_id == name
        bad = sa.update(replica_copy).where(of_record).values(state=CopyState.BAD)
        connection.execute(bad)
    assert told(site, "dgis_copies_unsettled")[(node, "bad")] == 1
    assert told(site, "dgis_objects_unreadable") == {("record",): 1, ("sealed",): 0}
    with site.engine.connect() as connection:
        whole = replica.status(connection)
        cheap = shortfalls(connection)
    assert {kind: each.without_copy for kind, each in whole.kinds.items()} == cheap.unreadable
    assert {kind: each.under_rule for kind, each in whole.kinds.items()} == cheap.short


def test_a_database_that_does_not_answer_is_told_and_nothing_else(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path}/nowhere/x.sqlite")
    found = {family.name: family for family in DatabaseFigures(engine, "gateway-1").collect()}
    assert set(found) == {"dgis_database_up", "dgis_database_answer_seconds"}
    assert found["dgis_database_up"].samples[0].value == 0


def test_an_unused_repository_has_no_figures(site):
    assert told(site, "dgis_audit_waiting") == {}
    assert told(site, "dgis_audit_trouble") == {}
