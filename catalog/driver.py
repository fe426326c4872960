"""Executing by the driver's own cursor, with the transaction, the listeners and the errors of SQLAlchemy.

What SQLAlchemy does around a statement of which nothing is to be converted costs five times what SQLite takes
to answer it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

Parameters = Mapping[str, Any] | Sequence[Any]


@contextmanager
def driven(
    connection: Connection, sql: str, parameters: Parameters = (), *, planned_anew: bool = False
) -> Iterator[Any]:
    """Execute a statement as the driver writes it; yield its cursor, which is closed afterwards.

    A transaction begins where none has. Rows are tuples as the driver makes them. Where `planned_anew`, a
    server does not keep the plan of it: one that has to do for all values may be many times slower.

    Raises:
        sqlalchemy.exc.DBAPIError: executing or fetching failed, as SQLAlchemy says it: a connection that is
            lost is given up.
    """
    if not connection.in_transaction():
        connection.begin()
    cursor: Any = connection.connection.cursor()
    try:
        for told in connection.dispatch.before_cursor_execute:
            told(connection, cursor, sql, parameters, None, False)
        if planned_anew and connection.dialect.driver == "psycopg":
            cursor.execute(sql, parameters, prepare=False)
        else:
            cursor.execute(sql, parameters)
        yield cursor
    except connection.dialect.loaded_dbapi.Error as error:
        # It knows which errors mean that the connection is lost; there is no public way to ask it.
        connection._handle_dbapi_exception(error, sql, parameters, cursor, None)  # noqa: SLF001
    finally:
        cursor.close()
