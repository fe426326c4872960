"""The cache's rows on PostgreSQL, and two gateways that share it."""

import threading

import pytest
import sqlalchemy as sa

from dgis import tables
from dgis.cache.conflicts import Conflicts, Kept
from dgis.cache.status import status
from dgis.cache.verdicts import Choice
from tests.unit.dgis.cache.harness import House, body_of, known, replace

pytestmark = pytest.mark.postgres


@pytest.fixture
def engine(postgres_url):
    engine = sa.create_engine(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def house(tmp_path, engine):
    house = House(tmp_path / "one", engine=engine)
    yield house
    house.stop()


def test_the_life_of_an_instance(house):
    for number in range(4):
        house.store(
            body_of(number), body_of(number + 50), uid=f"1.{number}", series=str(number % 2), released=True
        )
    house.store(b"other", uid="1.1.0")
    house.store(body_of(0), uid="1.0.0")
    house.drain()
    assert len(house.rows(tables.cache_instance)) == 8
    jobs = house.rows(tables.publish_job)
    assert {job.pending_instances for job in jobs} == {4}
    assert all(job.released_ms is not None for job in jobs)
    house.index.used(0, house.clock())
    with house.engine.begin() as connection:
        house.index.write_used(connection)
    house.publish(series=0)
    assert house.evictor.evict().instances == 4
    with house.engine.connect() as connection:
        seen = status(connection, house.log.files, house.log.space, house.owner.gateway_id)
    assert (seen.instances, seen.conflicts, seen.unindexed_instances) == (4, 1, 0)
    conflicts = Conflicts(house.log.files, house.owner)
    with house.engine.begin() as connection:
        (one,) = conflicts.list(connection)
        assert isinstance(conflicts.keep(connection, one.id, Choice.OTHER, replace), Kept)
    assert house.read("1.1.0") == [b"other"]


def test_an_index_that_is_lost_is_rebuilt(house):
    house.store(*(body_of(n) for n in range(5)))
    house.drain()
    with house.engine.begin() as connection:
        for table in (*reversed(tables.metadata.sorted_tables), known):
            connection.execute(sa.delete(table))
    house.restart()
    house.drain()
    assert [house.read(f"1.2.3.{n}") for n in range(5)] == [[body_of(n)] for n in range(5)]


def test_two_gateways_that_get_the_same_instances_at_once_agree(house, engine, tmp_path):
    other = House(tmp_path / "two", engine=engine, gateway="gateway-2")
    for each, offset in ((house, 0), (other, 1)):
        for number in range(40):
            each.store(body_of(number % 2 * offset, 2000), uid=f"1.{number}", series=str(number % 3))
    failures = []

    def index(each):
        try:
            each.drain()
        except Exception as error:  # noqa: BLE001 (shown by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=index, args=(each,)) for each in (house, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(house.rows(known)) == 40
    conflicts = house.rows(tables.cache_conflict)
    assert len(conflicts) == 20
    assert {row.kind for row in conflicts} == {"different-bytes"}
    other.stop()
