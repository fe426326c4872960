import pytest
from sqlalchemy import text

from catalog.tables import metadata
from tests.unit.catalog.world import World, open_engine

_EPOCH = "INSERT INTO grant_epoch VALUES (1, nextval('grant_epoch_number')) ON CONFLICT DO NOTHING"


@pytest.fixture(scope="session")
def postgres_engine(request):
    """One catalog for the session; making its tables takes longer than most tests."""
    with request.getfixturevalue("postgres_server").database() as url:
        made = open_engine(url)
        yield made
        made.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine(request, tmp_path):
    """An empty catalog on each engine."""
    if request.param == "sqlite":
        made = open_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
        yield made
        made.dispose()
        return
    made = request.getfixturevalue("postgres_engine")
    names = ", ".join(set(metadata.tables) - {"grant_epoch"})
    with made.begin() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        connection.execute(text(_EPOCH))  # a test may have taken it away
    yield made


@pytest.fixture
def world(engine):
    return World(engine)
