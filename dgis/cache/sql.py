"""Small helpers between locations and rows, for both databases."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from catalog.sql import Insert, Statements
from dgis.cache.values import Location

T = TypeVar("T")

_IN_LIST = 500  # values in one IN; SQLite of old allowed 999 parameters in a statement


def location_of(row: sa.Row[Any]) -> Location:
    """Return the location a row of cache_instance or cache_conflict holds."""
    return Location(
        segment_id=row.segment_id,
        epoch=bytes(row.epoch),
        position=row.position,
        span=row.span,
        data_offset=row.data_offset,
        length=row.length,
        sha256=bytes(row.sha256),
    )


def location_values(gateway_id: str, location: Location) -> dict[str, Any]:
    """Return the columns of a location."""
    return {
        "gateway_id": gateway_id,
        "segment_id": location.segment_id,
        "epoch": location.epoch,
        "position": location.position,
        "span": location.span,
        "data_offset": location.data_offset,
        "length": location.length,
        "sha256": location.sha256,
    }


def reading(engine: sa.Engine) -> sa.Connection:
    """Return a connection that only reads: SQLite would otherwise keep writers waiting (dgis.database)."""
    return engine.execution_options(read_only=True).connect()


def storable(text: str) -> str:
    """Return text that every database takes: a peer may send what no text column holds."""
    return text.encode("ascii", "backslashreplace").decode("ascii").replace("\0", "\\0")


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    key: Sequence[str],
    update: Mapping[str, Any],
) -> None:
    """Insert rows, or update those whose key is there; `update` may name the new values as `excluded`."""
    if not rows:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).on_conflict_do_update(index_elements=list(key), set_=dict(update))
    connection.execute(statement, [dict(row) for row in rows])


class Upsert:
    """Rows into one table, or new values for those whose key is there; prepared once a database.

    `update` names columns and what they become; the new values are called `excluded.<column>` in it.
    """

    def __init__(self, table: sa.Table, *, key: Sequence[str], update: Mapping[str, Any]) -> None:
        self._table = table
        self._key = list(key)
        self._update = dict(update)
        self._prepared = Statements(4)

    def run(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, all of which have the same columns."""
        if not rows:
            return
        columns = tuple(rows[0])
        self._prepared.get(connection, columns, lambda: self._statement(connection), columns).run_each(
            connection, rows
        )

    def _statement(self, connection: sa.Connection) -> Insert:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        return insert(self._table).on_conflict_do_update(index_elements=self._key, set_=self._update)


def excluded(*columns: str) -> dict[str, Any]:
    """Return the `update` of an `Upsert` that takes the new value of these columns."""
    return {name: sa.literal_column(f"excluded.{name}") for name in columns}


def in_lists(values: Sequence[T]) -> Iterator[list[T]]:
    """Cut values into lists short enough for one IN."""
    rest = iter(values)
    while part := list(islice(rest, _IN_LIST)):
        yield part
