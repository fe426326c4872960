"""The few things that SQLite and PostgreSQL write differently, as SQL constructs of one meaning."""

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from threading import Lock
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Connection,
    CursorResult,
    Dialect,
    Select,
    Table,
    Update,
    bindparam,
    func,
    select,
)
from sqlalchemy import Insert as PlainInsert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from catalog.driver import driven

Insert = sqlite.Insert | postgresql.Insert
Statement = Select[Any] | CompoundSelect[Any] | Update | PlainInsert

# The constructs below have no declared type: SQLite knows no booleans, and SQLAlchemy would compare a Boolean
# with 1, which hides the column from the index.


class OneOf(FunctionElement[Any]):
    """`column IN (list)`, the list in one parameter: a JSON array of texts.

    One statement serves lists of every length, so it stays prepared, and no limit on the number of
    parameters is met.
    """

    name = "one_of"
    inherit_cache = True


@compiles(OneOf, "sqlite")
def _one_of_sqlite(element: OneOf, compiler: SQLCompiler, **options: object) -> str:
    column, texts = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({texts}))"  # noqa: S608 - compiled parts, no data


@compiles(OneOf, "postgresql")
def _one_of_postgresql(element: OneOf, compiler: SQLCompiler, **options: object) -> str:
    column, texts = (compiler.process(clause, **options) for clause in element.clauses)
    return f'{column} IN (SELECT jsonb_array_elements_text(CAST({texts} AS jsonb)) COLLATE "C")'


class OneOfIds(FunctionElement[Any]):
    """`column IN (list)` of row ids, the list in one parameter: a JSON array of integers."""

    name = "one_of_ids"
    inherit_cache = True


@compiles(OneOfIds, "sqlite")
def _one_of_ids_sqlite(element: OneOfIds, compiler: SQLCompiler, **options: object) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - compiled parts, no data


@compiles(OneOfIds, "postgresql")
def _one_of_ids_postgresql(element: OneOfIds, compiler: SQLCompiler, **options: object) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY (CAST(translate({ids}, '[]', '{{}}') AS bigint[]))"


class Like(FunctionElement[Any]):
    """`column` against a wildcard pattern, case and all: (column, GLOB pattern, LIKE pattern)."""

    name = "wildcard"
    inherit_cache = True


@compiles(Like, "sqlite")
def _like_sqlite(element: Like, compiler: SQLCompiler, **options: object) -> str:
    column, glob, _like = element.clauses  # SQLite's LIKE has no case
    return f"{compiler.process(column, **options)} GLOB {compiler.process(glob, **options)}"


@compiles(Like, "postgresql")
def _like_postgresql(element: Like, compiler: SQLCompiler, **options: object) -> str:
    column, _glob, like = element.clauses
    return f"{compiler.process(column, **options)} LIKE {compiler.process(like, **options)}"


class AnyElement(FunctionElement[Any]):
    """Whether an element of a JSON array column (or "") equals a text: (column, text)."""

    name = "any_element"
    inherit_cache = True


class AnyElementOf(FunctionElement[Any]):
    """Whether an element of a JSON array column (or "") is one of a JSON list of texts: (column, texts)."""

    name = "any_element_of"
    inherit_cache = True


class AnyElementLike(FunctionElement[Any]):
    """Whether an element of a JSON array column (or "") matches: (column, GLOB pattern, LIKE pattern)."""

    name = "any_element_like"
    inherit_cache = True


_EACH_SQLITE = "EXISTS (SELECT 1 FROM json_each(CASE {0} WHEN '' THEN '[]' ELSE {0} END) WHERE value {1})"
_EACH_POSTGRESQL = (
    "EXISTS (SELECT 1 FROM jsonb_array_elements_text(CAST(CASE {0} WHEN '' THEN '[]' ELSE {0} END AS jsonb))"
    " AS element WHERE element {1})"
)


@compiles(AnyElement, "sqlite")
def _any_element_sqlite(element: AnyElement, compiler: SQLCompiler, **options: object) -> str:
    column, value = (compiler.process(clause, **options) for clause in element.clauses)
    return _EACH_SQLITE.format(column, f"= {value}")


@compiles(AnyElement, "postgresql")
def _any_element_postgresql(element: AnyElement, compiler: SQLCompiler, **options: object) -> str:
    column, value = (compiler.process(clause, **options) for clause in element.clauses)
    return _EACH_POSTGRESQL.format(column, f"= {value}")


@compiles(AnyElementOf, "sqlite")
def _any_element_of_sqlite(element: AnyElementOf, compiler: SQLCompiler, **options: object) -> str:
    column, texts = (compiler.process(clause, **options) for clause in element.clauses)
    return _EACH_SQLITE.format(column, f"IN (SELECT value FROM json_each({texts}))")  # noqa: S608 - no data


@compiles(AnyElementOf, "postgresql")
def _any_element_of_postgresql(element: AnyElementOf, compiler: SQLCompiler, **options: object) -> str:
    column, texts = (compiler.process(clause, **options) for clause in element.clauses)
    listed = f"(SELECT jsonb_array_elements_text(CAST({texts} AS jsonb)))"
    return _EACH_POSTGRESQL.format(column, f"IN {listed}")


@compiles(AnyElementLike, "sqlite")
def _any_element_like_sqlite(element: AnyElementLike, compiler: SQLCompiler, **options: object) -> str:
    column, glob, _like = element.clauses
    return _EACH_SQLITE.format(
        compiler.process(column, **options), f"GLOB {compiler.process(glob, **options)}"
    )


@compiles(AnyElementLike, "postgresql")
def _any_element_like_postgresql(element: AnyElementLike, compiler: SQLCompiler, **options: object) -> str:
    column, _glob, like = element.clauses
    return _EACH_POSTGRESQL.format(
        compiler.process(column, **options), f"LIKE {compiler.process(like, **options)}"
    )


def glob_pattern(wildcard: str) -> str:
    """Return the GLOB pattern of a DICOM wildcard text (`*` and `?`); `[` is quoted."""
    return wildcard.replace("[", "[[]")


def like_pattern(wildcard: str) -> str:
    r"""Return the LIKE pattern of a DICOM wildcard text; `%`, `_` and `\` are quoted."""
    quoted = wildcard.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return quoted.replace("*", "%").replace("?", "_")


def json_list(texts: Iterable[str]) -> str:
    """Return the parameter that `OneOf` takes."""
    return json.dumps(list(texts), ensure_ascii=False)


def insert_ignoring(connection: Connection, table: Table) -> Insert:
    """Return an INSERT that leaves rows alone whose unique columns are taken already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


class Prepared:
    """A statement built and compiled once, executed many times with values alone.

    Building and compiling a query of forty columns costs more than SQLite takes to answer it. The
    parameters are those named by `bindparam` in the statement; of an INSERT they are `columns`, all of them.
    Values go to the driver as they are.
    """

    def __init__(self, statement: Statement, dialect: Dialect, columns: Sequence[str] | None = None) -> None:
        if isinstance(statement, PlainInsert):
            statement = statement.inline()  # nobody asks for the id of each
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = str(compiled)
        self._order = None if compiled.positiontup is None else tuple(compiled.positiontup)
        self._fixed = dict(compiled.construct_params(_check=False))

    def _arranged(self, values: Mapping[str, Any]) -> dict[str, Any] | tuple[Any, ...]:
        full = {**self._fixed, **values}
        return full if self._order is None else tuple([full[name] for name in self._order])

    def rows(
        self, connection: Connection, values: Mapping[str, Any], *, planned_anew: bool = False
    ) -> list[tuple[Any, ...]]:
        """Execute with values by name by the driver itself; return all rows as it makes them."""
        with driven(connection, self.sql, self._arranged(values), planned_anew=planned_anew) as cursor:
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def write(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Execute with values by name by the driver itself; nothing comes back."""
        with driven(connection, self.sql, self._arranged(values)):
            pass

    def run(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Execute with values by name."""
        return connection.exec_driver_sql(self.sql, self._arranged(values))

    def run_each(self, connection: Connection, several: Iterable[Mapping[str, Any]]) -> None:
        """Execute once for each set of values; what they return is not asked for."""
        arranged: Any = [self._arranged(values) for values in several]
        if arranged:
            connection.exec_driver_sql(self.sql, arranged)


class Statements:
    """The prepared statements of one kind of query, by what their text depends on; stale ones go first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._prepared: OrderedDict[Hashable, Prepared] = OrderedDict()
        self._lock = Lock()

    def get(
        self,
        connection: Connection,
        key: Hashable,
        build: Callable[[], Statement],
        columns: Sequence[str] | None = None,
    ) -> Prepared:
        """Return the statement for `key`, built where it is not there yet."""
        full = (connection.dialect.name, connection.dialect.driver, key)
        with self._lock:
            found = self._prepared.get(full)
            if found is not None:
                self._prepared.move_to_end(full)
                return found
        made = Prepared(build(), connection.dialect, columns)
        with self._lock:
            self._prepared[full] = made
            if len(self._prepared) > self._capacity:
                self._prepared.popitem(last=False)
        return made


def insert_each(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, leaving alone what unique columns forbid."""
    if rows:
        columns = tuple(rows[0])
        key = ("insert", table.name, columns)
        prepared = _INSERTS.get(connection, key, lambda: insert_ignoring(connection, table), columns)
        prepared.run_each(connection, rows)


def insert_new(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], returned: tuple[str, ...]
) -> list[tuple[Any, ...]]:
    """Insert as `insert_each`; return the id and the `returned` columns of each row that was new."""
    columns = [table.c[name] for name in ("id", *returned)]
    if connection.dialect.name == "postgresql":
        statement = insert_ignoring(connection, table).returning(*columns)
        return [tuple(row) for row in connection.execute(statement, [dict(row) for row in rows])]
    # One transaction writes at a time, and gives a row an id above all that there are: what is above now is
    # what this one has inserted. RETURNING would be one statement a row, or a new text for each batch.
    last = _INSERTS.get(connection, ("last", table.name), lambda: select(func.max(table.c.id)))
    before = last.run(connection, {}).scalar() or 0
    insert_each(connection, table, rows)
    new = _INSERTS.get(
        connection,
        ("new", table.name, returned),
        lambda: select(*columns).where(table.c.id > bindparam("before")),
    )
    return [tuple(row) for row in new.run(connection, {"before": before})]


_INSERTS = Statements(64)
