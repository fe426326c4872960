"""Copying a gateway's database into an empty one, SQLite into PostgreSQL most of all.

All rows go in one transaction of the target, whose commit is the commit point: before it the target is as
empty as it was, after it whole. The source is only read, and held so that nobody writes meanwhile.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from dgis.schema import METADATA, SEEDED

_AT_ONCE = 1000

Told = Callable[[str, int], None]


class NotCopied(Exception):  # noqa: N818 (reads as what happened)
    """The databases are not what they should be; the text says what to do."""


def copy(source: sa.Connection, target: sa.Connection, told: Told = lambda _table, _rows: None) -> int:
    """Copy every row, inside the caller's transactions; return how many.

    Args:
        source: schema up to date.
        target: likewise, and without rows.
        told: is told of tables and rows as they are copied.

    Raises:
        NotCopied: the target holds something, or does not hold what was copied.
    """
    tables = [table for metadata in METADATA for table in metadata.sorted_tables]
    _check_empty(target, tables)
    copied = 0
    for table in [*(each for each in tables if each.name not in SEEDED), *_seeded(tables)]:
        if table.name in SEEDED:
            target.execute(sa.delete(table))
        for rows in _rows(source, table):
            target.execute(sa.insert(table), rows)
            copied += len(rows)
            told(table.name, len(rows))
        _compare(source, target, table)
        _count_on(target, table)
    return copied


def _seeded(tables: list[sa.Table]) -> list[sa.Table]:
    return [table for table in tables if table.name in SEEDED]


def _check_empty(target: sa.Connection, tables: list[sa.Table]) -> None:
    for table in tables:
        if table.name not in SEEDED and _number(target, table):
            raise NotCopied(f"the target is not empty ({table.name}): make a new database for it")


def _rows(source: sa.Connection, table: sa.Table) -> Iterator[list[Mapping[str, Any]]]:
    ordered = sa.select(table).order_by(*table.primary_key)
    found = source.execution_options(yield_per=_AT_ONCE).execute(ordered).mappings()
    for part in found.partitions():
        yield [dict(row) for row in part]


def _compare(source: sa.Connection, target: sa.Connection, table: sa.Table) -> None:
    here, there = _number(source, table), _number(target, table)
    if here != there:
        raise NotCopied(f"{table.name}: {here} rows became {there}; nothing was kept of the copy")


def _count_on(target: sa.Connection, table: sa.Table) -> None:
    """Let the numbers that PostgreSQL gives to new rows go on behind those that were copied."""
    column = table.autoincrement_column
    if column is None or target.dialect.name != "postgresql":
        return
    sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
    last = target.scalar(sa.select(sa.func.max(column)))
    if last is not None and target.scalar(sa.select(sequence)) is not None:
        target.execute(sa.select(sa.func.setval(sequence, last)))


def _number(connection: sa.Connection, table: sa.Table) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
