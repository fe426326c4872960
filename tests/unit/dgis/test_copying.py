import pytest
import sqlalchemy as sa

from dgis import copying, database
from dgis.configuration import Configuration
from dgis.schema import METADATA, SEEDED
from tests.unit.dgis.site import CLEARED, Site, phantom, whole

TABLES = [table for metadata in METADATA for table in metadata.sorted_tables]


@pytest.fixture
def target(tmp_path):
    engine = database.open_engine(Configuration(gateway={"home": tmp_path / "target"}))
    database.migrate(engine)
    yield engine
    engine.dispose()


def rows(engine, table):
    with engine.connect() as connection:
        found = connection.execute(sa.select(table).order_by(*table.primary_key)).all()
    return [tuple(row) for row in found]


def copy(source, target):
    with source.begin() as reading, target.begin() as writing:
        return copying.copy(reading, writing)


def test_every_row_is_there_and_the_gateway_goes_on_with_it(site, target, tmp_path):
    site.publish(phantom(3))
    site.receive(phantom(2, person=1))
    copied = copy(site.engine, target)
    assert copied == sum(len(site.rows(table)) for table in TABLES)
    for table in TABLES:
        assert rows(target, table) == [tuple(row) for row in rows(site.engine, table)], table.name
    site.engine.dispose()


def test_a_target_that_holds_something_is_left_alone(site, target):
    site.publish(phantom(1))
    copy(site.engine, target)
    before = {table.name: rows(target, table) for table in TABLES}
    with pytest.raises(copying.NotCopied, match="not empty"):
        copy(site.engine, target)
    assert {table.name: rows(target, table) for table in TABLES} == before


def test_a_copy_that_breaks_off_leaves_the_target_empty(site, target, monkeypatch):
    site.publish(phantom(1))
    number = copying._number

    def wrong(connection, table):
        found = number(connection, table)
        return found + 1 if connection.engine is target and table.name == "publish_part" and found else found

    monkeypatch.setattr(copying, "_number", wrong)
    with pytest.raises(copying.NotCopied, match="publish_part: 1 rows became 2"):
        copy(site.engine, target)
    monkeypatch.undo()
    assert not [table.name for table in TABLES if table.name not in SEEDED and rows(target, table)]


def test_many_rows_go_in_several_batches(site, target, monkeypatch):
    monkeypatch.setattr(copying, "_AT_ONCE", 2)
    site.publish(phantom(5))
    copy(site.engine, target)
    assert rows(target, TABLES[-1]) == rows(site.engine, TABLES[-1])


def goes_on(home, url, images, more):
    """A gateway over what was copied: finds and gives what was there, and publishes more."""
    moved = Site(home, url)
    try:
        moved.publish(more)
        refs = moved.refs(CLEARED)
        assert {ref.sop_instance_uid for ref in refs} == {one.sop_instance_uid for one in (*images, *more)}
        sent = {each.sop_instance_uid: whole(each) for each in moved.retriever(None).prepare(refs)}
        assert sent == {one.sop_instance_uid: one.dataset for one in (*images, *more)}
    finally:
        moved.close()


def test_a_gateway_goes_on_with_the_copy(site, target, tmp_path):
    images, more = phantom(3), phantom(2, person=1)
    site.publish(images)
    copy(site.engine, target)
    goes_on(tmp_path, str(target.url), images, more)
