import pytest

from tests.unit.catalog.world import World, open_engine


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine(request, tmp_path):
    """An empty catalog on each engine."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'catalog.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    made = open_engine(url)
    yield made
    made.dispose()


@pytest.fixture
def world(engine):
    return World(engine)
