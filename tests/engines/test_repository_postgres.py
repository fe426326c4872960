"""The cursors of a repository on PostgreSQL, where rows of concurrent writers become visible out of order."""

import pytest
import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.values import Event, Happening
from dgis import database
from dgis.repository import cursor
from dgis.repository.message import Source
from dgis.repository.sender import Means, Sender
from dgis.repository.streams import Reader
from tests.unit.dgis.repository.test_sender import REPOSITORY, Repository, Seconds, drain
from tests.unit.dgis.trail.test_sealing import KEY

pytestmark = pytest.mark.postgres

WRITERS = ("gateway-1/dicom", "gateway-1/worker")


@pytest.fixture
def engine(postgres_url):
    engine = sa.create_engine(postgres_url)
    database.migrate(engine)
    yield engine
    engine.dispose()


def append(connection, writer, count=1):
    trail.append(connection, writer, [Happening(Event.TRAIL, "x")] * count, 1_795_000_000_000)


def test_an_entry_that_is_committed_late_is_sent_all_the_same(engine):
    repository, seconds = Repository(), Seconds()
    reader = Reader(Source("host", "Site", "DGIS"), KEY.public_key())
    connect = repository.connect
    sending = Sender(Means(engine, "gateway-1", REPOSITORY, reader, connect, lambda: 1, 60.0, seconds))
    first, second = WRITERS
    with engine.connect() as slow:
        append(slow, first)
        with engine.begin() as quick:
            append(quick, second, 2)
        drain(sending)
        assert (repository.numbers(first), repository.numbers(second)) == ([], [1, 2])
        slow.commit()
    drain(sending)
    assert repository.numbers(first) == [1]
    seconds.now += 60
    drain(sending)
    with engine.connect() as connection:
        state = cursor.state(connection, "gateway-1")
        assert cursor.settled(connection, REPOSITORY)[f"entries {second}"] == 2
    assert (state["waiting"], state["unsettled"], state["trouble"]) == (0, 0, None)
