"""What stays of deleted rows in SQLite's files, and that nothing does after cleaning."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from dgis import database
from dgis.configuration import Configuration
from dgis.erasure.database import Cleaner


@pytest.fixture
def engine(tmp_path):
    """A database of a version that did not make zeros of what it deleted."""
    path = tmp_path / "catalog.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA journal_mode=WAL")
        old.execute("PRAGMA secure_delete=OFF")
        old.execute("CREATE TABLE patient (id INTEGER PRIMARY KEY, name TEXT)")
        old.executemany("INSERT INTO patient (name) VALUES (?)", [(f"Canary^Jane^{n}",) for n in range(5000)])
        old.execute("DELETE FROM patient WHERE id > 10")
        old.execute("UPDATE patient SET name = 'kept'")
        old.commit()
    engine = database.open_engine(Configuration(gateway={"home": tmp_path}))
    yield engine
    engine.dispose()


def files(engine):
    path = Path(engine.url.database)
    return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))


def test_nothing_of_deleted_rows_is_left(engine):
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT count(*) FROM patient"))
        assert b"Canary" in files(engine)
    assert Cleaner(engine).run_once(frozenset({1}))
    assert b"Canary" not in files(engine)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM patient WHERE name = 'kept'")).scalar() == 10


def test_somebody_who_reads_an_old_state_is_waited_for(engine, monkeypatch):
    monkeypatch.setattr(database, "_PRAGMAS", (*database._PRAGMAS, "busy_timeout=50"))
    engine.dispose()  # connections of before wait longer
    cleaner = Cleaner(engine)
    with engine.execution_options(read_only=True).connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM patient")).all()
        with engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM patient WHERE id > 5"))
        assert not cleaner.run_once(frozenset({1}))
    assert cleaner.run_once(frozenset({1}))
    assert b"Canary" not in files(engine)


def test_a_deleted_row_is_zeros_at_once_in_databases_of_today(engine):
    with engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA secure_delete")).scalar() == 1
