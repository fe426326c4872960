"""Schemas brought forward under old code that works on, on PostgreSQL; SQLite is held to the same rules."""

import threading

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from dgis import database, parts, schema_floor
from dgis.configuration import Configuration
from dgis.tables import cache_instance
from dgis.tables import schema_floor as floor_table
from dgis.transactions import WORKER, again
from tests.unit.dgis.site import Site, phantom

pytestmark = pytest.mark.postgres

_CONFIG = Config()
_CONFIG.set_main_option("script_location", str(database._MIGRATIONS))
_SCRIPTS = ScriptDirectory.from_config(_CONFIG)
HEAD = _SCRIPTS.get_current_head()
# Of the last version that was released, and each that came after it.
SINCE = [
    each.revision
    for each in _SCRIPTS.walk_revisions()
    if each.revision > schema_floor.OLDEST_READER and each.revision <= HEAD
]


def move(engine, how, to):
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(database._MIGRATIONS))
        config.attributes["connection"] = connection
        how(config, to)
        connection.commit()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    url = "sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = database.open_engine(Configuration(gateway={"home": tmp_path}, catalog={"url": url}))
    yield made
    made.dispose()


def columns(engine):
    looked = sa.inspect(engine)
    return {
        table: {column["name"]: column for column in looked.get_columns(table)}
        for table in looked.get_table_names()
    }


def test_old_code_can_live_with_what_the_new_schema_adds(engine):
    """Nothing it knows is gone or of another type, and nothing that it does not know must be given."""
    move(engine, command.upgrade, schema_floor.OLDEST_READER)
    old = columns(engine)
    move(engine, command.upgrade, "head")
    new = columns(engine)
    for table, known in old.items():
        assert known.keys() <= new[table].keys(), table
        for name, column in new[table].items():
            if name in known:
                assert str(column["type"]) == str(known[name]["type"]), (table, name)
            else:
                assert column["nullable"] or column["default"] is not None, (table, name)


@pytest.mark.parametrize("revision", SINCE)
def test_each_migration_can_be_taken_back(engine, revision):
    database.migrate(engine)
    move(engine, command.downgrade, _SCRIPTS.get_revision(revision).down_revision)
    database.migrate(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == HEAD


def as_old_code_does(engine, tables, turn):
    """Read, change and add rows, naming the columns of the old schema and no others."""
    with engine.begin() as connection:
        for table in tables.values():
            connection.execute(sa.select(table).limit(5)).all()
        parts_of_series = tables["publish_part"]
        connection.execute(sa.update(parts_of_series).values(attempts=parts_of_series.c.attempts))
        row = {"gateway_id": "old", "kind": "turn", "detail": str(turn), "count": 1}
        connection.execute(sa.insert(tables["door_count"]).values(row))


def test_a_schema_is_brought_forward_under_old_code_on_live_data(tmp_path, postgres_url):
    site = Site(tmp_path, postgres_url)
    site.receive(phantom(3))
    site.publish()
    move(site.engine, command.downgrade, schema_floor.OLDEST_READER)
    old = sa.MetaData()
    old.reflect(site.engine)
    migrated, turns, failed = threading.Event(), [], []

    def work_on():
        last = 0
        while last < 20:  # some of them on the new schema
            last += migrated.is_set()
            turns.append(len(turns))
            try:
                again(lambda: as_old_code_does(site.engine, old.tables, turns[-1]), WORKER)
            except sa.exc.SQLAlchemyError as error:
                failed.append(error)

    worker = threading.Thread(target=work_on)
    worker.start()
    newer = database.open_engine(site.configuration)
    database.migrate(newer)
    newer.dispose()
    migrated.set()
    worker.join()
    assert failed == []
    with site.engine.connect() as connection:
        written = sa.select(sa.func.count()).select_from(old.tables["door_count"])
        assert connection.scalar(written) == len(turns) > 20
        unpublished = sa.select(sa.func.count()).where(cache_instance.c.published.is_(False))
        assert connection.scalar(unpublished) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(cache_instance)) == 3
    site.receive(phantom(2, seed=2))
    site.publish()
    site.close()


def pretend(engine, revision, floor):
    """Make the schema look like one of a version to come."""
    database.migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
        connection.execute(sa.delete(floor_table))
        if floor is not None:
            connection.execute(sa.insert(floor_table).values(id=1, revision=floor))


def test_a_gateway_starts_on_a_newer_schema_that_still_serves_it(engine):
    pretend(engine, "9999", HEAD)
    database.migrate(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "9999"


@pytest.mark.parametrize("floor", ["9998", None])
def test_a_gateway_does_not_start_on_a_schema_that_does_not(tmp_path, engine, floor):
    pretend(engine, "9999", floor)
    configuration = Configuration(
        gateway={"home": tmp_path}, catalog={"url": engine.url.render_as_string(hide_password=False)}
    )
    if engine.dialect.name == "sqlite":
        configuration = Configuration(gateway={"home": tmp_path})
    with pytest.raises(parts.StartError, match="newer version"):
        parts.open_database(configuration)
