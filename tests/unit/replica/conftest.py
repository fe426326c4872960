import pytest
import sqlalchemy as sa

from replica.tables import metadata
from tests.unit.replica.grid import Grid


def _wait_for_the_lock(connection, _record):
    connection.isolation_level = None  # the driver's own BEGIN would make writers start as readers
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA busy_timeout=20000")


@pytest.fixture
def engine(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path}/index.sqlite")
    sa.event.listen(engine, "connect", _wait_for_the_lock)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def grid(engine):
    grid = Grid(engine)
    yield grid
    grid.release()
