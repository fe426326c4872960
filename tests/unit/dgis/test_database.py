import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from dgis import database, parts
from dgis.configuration import Configuration
from dgis.schema import METADATA


@pytest.fixture
def configuration(tmp_path):
    return Configuration(gateway={"home": tmp_path})


@pytest.fixture
def engine(configuration):
    engine = database.open_engine(configuration)
    yield engine
    engine.dispose()


def test_the_migrations_give_exactly_the_tables(engine):
    database.migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, list(METADATA))
    assert differences == []


def test_migrating_again_changes_nothing(engine):
    database.migrate(engine)
    database.migrate(engine)


def test_a_start_on_a_schema_that_is_current_loads_nothing_to_bring_one_forward(engine, configuration):
    database.migrate(engine)
    script = (
        "import sys; from dgis import parts; from dgis.configuration import Configuration;"
        "parts.open_database(Configuration(gateway={'home': sys.argv[1]}));"
        "sys.exit('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(configuration.gateway.home)]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_newest_revision_is_told_by_the_name_of_its_file():
    scripts = ScriptDirectory(str(database._MIGRATIONS))
    assert database.newest_revision() == scripts.get_current_head()
    assert all(Path(each.path).stem.split("_")[1] == each.revision for each in scripts.walk_revisions())


def test_processes_that_start_at_once_migrate_once(engine, configuration):
    script = (
        "import sys; from dgis import database; from dgis.configuration import Configuration;"
        "own = Configuration(gateway={'home': sys.argv[1]}, catalog={'url': sys.argv[2]});"
        "database.migrate(database.open_engine(own))"
    )
    command = [sys.executable, "-c", script, str(configuration.gateway.home), configuration.catalog.url]
    started = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(120) for process in started] == [0, 0, 0]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar_one() == 1


def test_an_error_of_the_database_quotes_no_values(engine):
    statement = sa.text("SELECT * FROM no_such_table WHERE name = :name")
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="no_such_table") as caught:
        connection.execute(statement, {"name": "DOE^JANE"})
    assert "DOE" not in str(caught.value)


def test_a_file_that_is_no_database_is_said_in_words(tmp_path):
    (tmp_path / "catalog.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(parts.StartError, match="the database cannot be used"):
        parts.open_database(Configuration(gateway={"home": tmp_path}))
