"""What the driver's own cursor does is what SQLAlchemy would: transactions, listeners, errors."""

import pytest
import sqlalchemy as sa

from catalog.driver import driven


@pytest.fixture
def connection():
    engine = sa.create_engine("sqlite://", hide_parameters=True)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def test_a_transaction_begins_and_listeners_are_told(connection):
    told = []
    sa.event.listen(connection.engine, "begin", lambda _connection: told.append("begin"))
    sa.event.listen(connection, "before_cursor_execute", lambda *said: told.append(said[2:4]))
    for number in (1, 2):
        with driven(connection, "SELECT ?", (number,)) as cursor:
            assert cursor.fetchall() == [(number,)]
    assert connection.in_transaction()
    assert told == ["begin", ("SELECT ?", (1,)), ("SELECT ?", (2,))]


def test_an_error_is_sqlalchemys_and_names_no_value(connection):
    with (
        pytest.raises(sa.exc.OperationalError) as failed,
        driven(connection, "SELECT ? FROM none", ("SMITH",)),
    ):
        pass
    assert "SMITH" not in str(failed.value)


def test_an_error_while_fetching_is_sqlalchemys_too(connection):
    overflow = "SELECT abs(column1) FROM (VALUES (1), (-9223372036854775808))"
    with (
        pytest.raises(sa.exc.DBAPIError),
        driven(connection, overflow) as cursor,
    ):
        cursor.fetchall()


def test_what_the_body_raises_passes(connection):
    with pytest.raises(ZeroDivisionError), driven(connection, "SELECT 1"):
        raise ZeroDivisionError
