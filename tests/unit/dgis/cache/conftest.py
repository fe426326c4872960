import pytest

from tests.unit.dgis.cache.harness import House


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.close()
