"""The second line on PostgreSQL: originals that the database itself keeps from a caller's transaction.

The policies on the `phi_*` tables read settings of the transaction. They admit no more than grants of `phi`
could open to the caller, whatever the statement asks for; the statement decides within that. SQLite has no
such thing: whoever reads its file reads all of it.
"""

from collections.abc import Iterable
from contextlib import closing

from sqlalchemy import Connection

_NARROW = (
    "SELECT (SELECT number FROM grant_epoch), set_config('dgis.originals', 'granted', true),"
    " set_config('dgis.now_ms', %s, true), set_config('dgis.contributors', %s, true),"
    " set_config('dgis.patterns', %s, true)"
)


def keep_to(
    connection: Connection, contributors: Iterable[int], patterns: Iterable[str], now_ms: int
) -> int | None:
    """Let this transaction, until it ends, see originals of these contributors and what narrow grants name.

    In the same round trip it reads the number by which remembered grants are known to stand.

    Args:
        connection: in a transaction; on another engine than PostgreSQL nothing happens.
        contributors: ids for whom wide grants allow `phi`.
        patterns: keys of the patterns that the caller satisfies and narrow grants bear.
        now_ms: the moment of the decision, epoch milliseconds.

    Returns:
        The number of `grant_epoch`; None where its row is gone, or on another engine.
    """
    if not has_second_line(connection):
        return None
    values = (str(now_ms), _array(map(str, sorted(contributors))), _array(sorted(patterns)))
    # By the driver itself: what SQLAlchemy does around a statement costs as much as the statement here.
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(_NARROW, values)
        row = cursor.fetchone()
    return None if row is None or row[0] is None else int(row[0])


def has_second_line(connection: Connection) -> bool:
    """Whether the database itself keeps originals from a transaction."""
    return connection.dialect.name == "postgresql"


def _array(plain: Iterable[str]) -> str:
    """Return an array literal of texts without any character that needs quoting."""
    return "{" + ",".join(plain) + "}"
