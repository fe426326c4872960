"""Sessions, tokens and shares once more on PostgreSQL, where several web doors share them."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

import dgis.schema  # noqa: F401 - makes the tables known
from dgis.sessions.store import Store
from dgis.tables import metadata
from tests.unit.catalog.world import open_engine
from tests.unit.dgis.sessions.conftest import clock, door, seeded  # noqa: F401 (fixtures, found by name)
from tests.unit.dgis.sessions.test_desk import (
    cookies,  # noqa: F401
    test_a_changed_passcode_ends_the_sessions_before_and_opens_one,  # noqa: F401
    test_a_login_changes_the_cookie,  # noqa: F401
    test_a_session_is_its_account_in_every_process,  # noqa: F401
    test_it_ends_when_nobody_uses_it,  # noqa: F401
    test_logging_out_everywhere_ends_all_of_ones_sessions,  # noqa: F401
)
from tests.unit.dgis.sessions.test_store import ALICE
from tests.unit.dgis.sessions.test_tokens import (
    made,  # noqa: F401
    test_expired_tokens_are_forgotten,  # noqa: F401
    test_it_ends_at_its_time_and_at_once_when_it_is_taken_away,  # noqa: F401
    test_it_ends_with_its_account_also_where_another_of_that_name_comes,  # noqa: F401
)

pytestmark = pytest.mark.postgres

DOORS = 8


@pytest.fixture
def engine(postgres_url):
    engine = open_engine(postgres_url)
    metadata.create_all(engine)
    seeded(engine)
    yield engine
    engine.dispose()


def at_once(step):
    barrier = Barrier(DOORS)

    def stepped(_number):
        barrier.wait()
        return step()

    with ThreadPoolExecutor(DOORS) as doors:
        return list(doors.map(stepped, range(DOORS)))


def test_of_many_doors_one_renews(engine, clock):  # noqa: F811
    store = Store(engine, 600, clock)
    found = store.find(store.open(ALICE))
    assert sorted(at_once(lambda: store.begin_renewal(found))) == [False] * (DOORS - 1) + [True]


def test_of_many_doors_one_takes_what_counts_once(engine, clock):  # noqa: F811
    store = Store(engine, 600, clock)
    secret = store.open(ALICE)
    taken = at_once(lambda: store.take(secret, ALICE.kind))
    assert len([each for each in taken if each is not None]) == 1
