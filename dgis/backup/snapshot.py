"""All tables of the database as of one moment, on either engine, and back into an empty one.

One form for both engines: a backup of SQLite goes into PostgreSQL and the other way round. SQLite reads from
one state of its log of changes, PostgreSQL in one repeatable-read transaction; writers go on meanwhile.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from dgis.backup.values import BackupError
from dgis.schema import METADATA, SEEDED

LEFT_OUT: Final = SEEDED | {"rebuild_run", "rebuild_part", "alembic_version"}
"""What triggers and commands write by themselves."""
_AT_ONCE: Final = 1000
_BINARY, _JSON, _PLAIN = "b", "j", ""


@contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Connect to one state of the database, for reading."""
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with engine.execution_options(read_only=True).connect() as connection:
        yield connection


def tables() -> list[sa.Table]:
    """Return what is backed up, each behind those it points to."""
    every = (table for metadata in METADATA for table in metadata.sorted_tables)
    return [table for table in every if table.name not in LEFT_OUT]


class Rows:
    """The rows of a table as pieces of an entry; `count` once they were gone through."""

    def __init__(self, connection: sa.Connection, table: sa.Table) -> None:
        self._connection = connection
        self._table = table
        self._count = 0

    def count(self) -> int:
        """How many there were."""
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        columns = [(column.name, _kind(column.type)) for column in self._table.c]
        yield _line(columns)
        encoders = [_ENCODE[kind] for _name, kind in columns]
        found = self._connection.execution_options(yield_per=_AT_ONCE).execute(sa.select(self._table))
        for some in found.partitions():
            self._count += len(some)
            yield b"".join(
                _line([encode(value) for encode, value in zip(encoders, row, strict=True)]) for row in some
            )


def fill(connection: sa.Connection, table: sa.Table, pieces: Iterable[bytes]) -> int:
    """Insert the rows of an entry into a table that is empty; returns how many."""
    lines = _lines(pieces)
    columns = json.loads(next(lines, b"[]"))
    unknown = [name for name, _kind_of in columns if name not in table.c]
    if unknown:
        raise BackupError(f"table {table.name}: the backup has columns this program does not know")
    decoders = [(name, _DECODE[kind]) for name, kind in columns]
    count, some = 0, list[Mapping[str, Any]]()
    for line in lines:
        values = json.loads(line)
        some.append({name: decode(value) for (name, decode), value in zip(decoders, values, strict=True)})
        if len(some) == _AT_ONCE:
            connection.execute(sa.insert(table), some)
            count, some = count + len(some), []
    if some:
        connection.execute(sa.insert(table), some)
    _number_on(connection, table)
    return count + len(some)


def is_empty(connection: sa.Connection) -> bool:
    """Whether no table holds a row that anybody wrote."""
    there = set(sa.inspect(connection).get_table_names())
    mine = [table for table in tables() if table.name in there]
    return not any(
        connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() for table in mine
    )


def _number_on(connection: sa.Connection, table: sa.Table) -> None:
    """Let PostgreSQL number on behind the rows; SQLite does by itself."""
    if connection.dialect.name != "postgresql" or "id" not in table.c:
        return
    named = sa.text("SELECT pg_get_serial_sequence(:name, 'id')")
    sequence = connection.scalar(named, {"name": table.name})
    highest = connection.scalar(sa.select(sa.func.max(table.c.id)))
    if sequence is not None and highest is not None:
        connection.execute(sa.text("SELECT setval(:name, :highest)"), {"name": sequence, "highest": highest})


def _kind(of: sa.types.TypeEngine[Any]) -> str:
    if isinstance(of, sa.LargeBinary):
        return _BINARY
    return _JSON if isinstance(of, sa.JSON) else _PLAIN


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _same(value: Any) -> Any:  # noqa: ANN401 - what JSON has
    return value


_ENCODE: dict[str, Callable[[Any], Any]] = {_BINARY: _base64, _JSON: _same, _PLAIN: _same}
_DECODE: dict[str, Callable[[Any], Any]] = {_BINARY: _bytes, _JSON: _same, _PLAIN: _same}


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        raise BackupError("an entry of the backup ends in the middle of a row")
