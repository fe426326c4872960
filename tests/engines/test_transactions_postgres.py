"""Deadlocks, serialization failures, lost connections and time limits, on a real server."""

import threading

import psycopg
import pytest
import sqlalchemy as sa

from dgis.postgres import POOLS, server_engine
from dgis.transactions import Patience, again, may_pass

pytestmark = pytest.mark.postgres

_PATIENCE = Patience(20.0)


@pytest.fixture
def engine(postgres_url):
    made = server_engine(sa.make_url(postgres_url), "worker", "gateway-1")
    with made.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE account (id int PRIMARY KEY, amount int NOT NULL)")
        connection.exec_driver_sql("INSERT INTO account VALUES (1, 0), (2, 0)")
    yield made
    made.dispose()


def add(connection, account):
    connection.execute(sa.text("UPDATE account SET amount = amount + 1 WHERE id = :id"), {"id": account})


def amounts(engine):
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT amount FROM account ORDER BY id").scalars())


def both(*works):
    """Run works at once; returns how often each began, and raises what one of them raises."""
    began, failed = [0] * len(works), []

    def run(number):
        def counted():
            began[number] += 1
            return works[number](began[number])

        try:
            again(counted, _PATIENCE)
        except sa.exc.SQLAlchemyError as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return began


def test_a_deadlock_is_begun_anew_and_both_come_through(engine):
    met = threading.Barrier(2)

    def crosswise(first, second):
        def work(attempt):
            with engine.begin() as connection:
                add(connection, first)
                if attempt == 1:
                    met.wait(20)
                add(connection, second)

        return work

    began = both(crosswise(1, 2), crosswise(2, 1))
    assert sorted(began) == [1, 2]
    assert amounts(engine) == [2, 2]


def test_a_serialization_failure_is_begun_anew(engine):
    strict = engine.execution_options(isolation_level="SERIALIZABLE")
    met = threading.Barrier(2)

    def work(attempt):
        with strict.begin() as connection:
            amount = connection.exec_driver_sql("SELECT amount FROM account WHERE id = 1").scalar_one()
            if attempt == 1:
                met.wait(20)
            connection.execute(sa.text("UPDATE account SET amount = :new WHERE id = 1"), {"new": amount + 1})

    began = both(work, work)
    assert sum(began) > 2
    assert amounts(engine) == [2, 0]


def test_a_connection_that_is_cut_in_the_middle_is_made_anew(engine, postgres_url):
    attempts = []

    def work():
        with engine.begin() as connection:
            attempts.append(1)
            add(connection, 1)
            if len(attempts) == 1:
                own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
                with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s)", (own,))
            add(connection, 2)

    again(work, _PATIENCE)
    assert len(attempts) == 2
    assert amounts(engine) == [1, 1]


def test_a_connection_that_died_in_the_pool_is_not_noticed(engine, postgres_url):
    with engine.connect() as connection:
        own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (own,))
    assert amounts(engine) == [0, 0]


def test_limits_are_set_for_the_role(engine):
    def shown(connection, name):
        return connection.exec_driver_sql(f"SHOW {name}").scalar_one()

    with engine.connect() as connection:
        assert shown(connection, "statement_timeout") == "30min"
        assert shown(connection, "lock_timeout") == "30s"
        assert shown(connection, "idle_in_transaction_session_timeout") == "2min"
        assert shown(connection, "application_name") == "dgis worker gateway-1"
        assert shown(connection, "dgis.originals") == "all"


def test_a_lock_that_is_not_to_be_had_is_waited_for_only_so_long(engine):
    with engine.begin() as holder:
        add(holder, 1)
        with engine.connect() as waiter:
            waiter.exec_driver_sql("SET LOCAL lock_timeout TO '20ms'")
            with pytest.raises(sa.exc.OperationalError) as late:
                add(waiter, 1)
    assert may_pass(late.value)


def test_a_server_that_takes_no_writes_any_more_is_left(engine):
    with engine.connect() as connection:
        own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        connection.rollback()
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        with pytest.raises(sa.exc.DBAPIError) as refused:
            add(connection, 1)
        assert refused.value.connection_invalidated
        assert may_pass(refused.value)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() != own


def test_the_pools_of_one_gateway_fit_into_a_server_of_default_size():
    most = sum(POOLS[role].size + POOLS[role].overflow for role in ("dicom", "web", "worker"))
    assert most <= 97  # max_connections 100, three of them for superusers
