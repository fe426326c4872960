import sqlite3

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import errors

from dgis.postgres import POOLS, _connect_arguments, server_engine
from dgis.transactions import Patience, again, may_pass

_BRIEF = Patience(0.5, 0.001, 0.002)


def failing(kind, original, *, invalidated=False):
    return kind("SELECT 1", {}, original, connection_invalidated=invalidated)


PASSING = [
    failing(sa.exc.OperationalError, errors.SerializationFailure()),
    failing(sa.exc.OperationalError, errors.DeadlockDetected()),
    failing(sa.exc.OperationalError, errors.LockNotAvailable()),
    failing(sa.exc.OperationalError, errors.AdminShutdown()),
    failing(sa.exc.OperationalError, errors.CannotConnectNow()),
    failing(sa.exc.OperationalError, errors.TooManyConnections()),
    failing(sa.exc.InternalError, errors.ReadOnlySqlTransaction()),
    failing(sa.exc.InternalError, errors.IdleInTransactionSessionTimeout()),
    failing(sa.exc.OperationalError, psycopg.OperationalError("server closed the connection unexpectedly")),
    failing(sa.exc.InterfaceError, psycopg.InterfaceError("the connection is closed"), invalidated=True),
]
LASTING = [
    failing(sa.exc.IntegrityError, errors.UniqueViolation()),
    failing(sa.exc.ProgrammingError, errors.UndefinedTable()),
    failing(sa.exc.DataError, errors.StringDataRightTruncation()),
    failing(sa.exc.OperationalError, errors.QueryCanceled()),  # it would take as long again
    failing(sa.exc.OperationalError, sqlite3.OperationalError("database is locked")),  # waited 30 s already
    sa.exc.TimeoutError("the pool is used up"),
    ValueError("a defect"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error.orig).__name__)
def test_what_passes_is_tried_again(error):
    seen = []

    def work():
        seen.append(1)
        if len(seen) < 3:
            raise error
        return "done"

    assert again(work, _BRIEF) == "done"
    assert len(seen) == 3


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(getattr(error, "orig", error)).__name__)
def test_what_does_not_pass_is_told_at_once(error):
    seen = []

    def work():
        seen.append(1)
        raise error

    assert not may_pass(error)
    with pytest.raises(type(error)):
        again(work, _BRIEF)
    assert len(seen) == 1


def test_patience_ends():
    slept = []

    def work():
        raise PASSING[0]

    with pytest.raises(sa.exc.OperationalError):
        again(work, Patience(0.01), lambda seconds: slept.append(seconds) or __import__("time").sleep(0.006))
    assert slept


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("postgresql+psycopg://u:p@h/d", None),
        ("postgresql+psycopg://u:p@/d?host=h1:5432&host=h2:5432", "read-write"),
        ("postgresql+psycopg://u:p@/d?host=h1,h2", "read-write"),
        ("postgresql+psycopg://u:p@/d?host=h1&host=h2&target_session_attrs=any", None),
    ],
)
def test_of_several_hosts_the_primary_is_used(text, attributes):
    said = _connect_arguments(sa.make_url(text), "dgis worker")
    assert said.get("target_session_attrs") == attributes
    assert said["connect_timeout"] == "5"
    assert said["application_name"] == "dgis worker"


def test_the_url_has_the_last_word():
    url = sa.make_url("postgresql+psycopg://u:p@h/d?connect_timeout=1&application_name=mine")
    assert not {"connect_timeout", "application_name"} & _connect_arguments(url, "dgis").keys()


@pytest.mark.parametrize("role", POOLS)
def test_each_role_has_its_own_pool(role):
    engine = server_engine(sa.make_url("postgresql+psycopg://u:p@h/d"), role)
    assert engine.pool.size() == POOLS[role].size
    assert engine.pool._max_overflow == POOLS[role].overflow
