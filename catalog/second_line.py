"""How a transaction that answers a caller begins: narrowed to that caller, and told what stands.

The policies on the `phi_*` tables of PostgreSQL read settings of the transaction. They admit no more than
grants of `phi` could open to the caller, whatever the statement asks for; the statement decides within that.
SQLite has no such thing: whoever reads its file reads all of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import BindParameter, ColumnElement, Connection, Select, Text, bindparam, false, func, select

from catalog.reach import Reach
from catalog.sql import Statements
from catalog.tables import grant_epoch

_STATEMENTS = Statements(8)


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands as a transaction begins.

    `epoch` is the number by which remembered grants are known to stand, None where its row is gone;
    `elsewhere` says whether originals wait in a cache out of reach.
    """

    epoch: int | None
    elsewhere: bool


def keep_to(
    connection: Connection,
    contributors: Iterable[int],
    patterns: Iterable[str],
    now_ms: int,
    reach: Reach | None = None,
) -> Standing:
    """Let this transaction, until it ends, see originals of these contributors and what narrow grants name.

    The same round trip reads what stands.

    Args:
        connection: in a transaction; on another engine than PostgreSQL nothing is kept from it.
        contributors: ids for whom wide grants allow `phi`.
        patterns: keys of the patterns that the caller satisfies and narrow grants bear.
        now_ms: the moment of the decision, epoch milliseconds.
        reach: whose `elsewhere` is asked.
    """
    narrows = connection.dialect.name == "postgresql"
    prepared = _STATEMENTS.get(connection, (narrows, reach), lambda: _beginning(reach, narrows=narrows))
    settings = {
        "line_now": str(now_ms),
        "line_contributors": _array(map(str, sorted(contributors))),
        "line_patterns": _array(sorted(patterns)),
    }
    (row,) = prepared.rows(connection, settings)
    return Standing(row[0], bool(row[1]))


def _beginning(reach: Reach | None, *, narrows: bool) -> Select[tuple[int | None, bool]]:
    number = select(grant_epoch.c.number).scalar_subquery()
    stands = select(number, false() if reach is None else reach.elsewhere)
    return stands.add_columns(*_narrowing()) if narrows else stands


def _narrowing() -> Iterable[ColumnElement[str]]:
    kept: BindParameter[str] = bindparam("line_kept", "granted", Text)
    yield func.set_config("dgis.originals", kept, True)
    for name in ("now_ms", "contributors", "patterns"):
        yield func.set_config(f"dgis.{name}", bindparam(f"line_{name.removesuffix('_ms')}", type_=Text), True)


def _array(plain: Iterable[str]) -> str:
    """Return an array literal of texts without any character that needs quoting."""
    return "{" + ",".join(plain) + "}"
