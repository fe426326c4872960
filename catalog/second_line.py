"""The second line on PostgreSQL: originals that the database itself keeps from a caller's transaction.

The policies on the `phi_*` tables read settings of the transaction. They admit no more than grants of `phi`
could open to the caller, whatever the statement asks for; the statement decides within that. SQLite has no
such thing: whoever reads its file reads all of it.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, text

_NARROW = text(
    "SELECT set_config('dgis.originals', 'granted', true), set_config('dgis.now_ms', :now, true),"
    " set_config('dgis.contributors', :contributors, true), set_config('dgis.patterns', :patterns, true)"
)


def keep_to(
    connection: Connection, contributors: Iterable[int], patterns: Iterable[str], now_ms: int
) -> None:
    """Let this transaction, until it ends, see originals of these contributors and what narrow grants name.

    Args:
        connection: in a transaction; on another engine than PostgreSQL nothing happens.
        contributors: ids for whom wide grants allow `phi`.
        patterns: keys of the patterns that the caller satisfies and narrow grants bear.
        now_ms: the moment of the decision, epoch milliseconds.
    """
    if connection.dialect.name != "postgresql":
        return
    values = {
        "contributors": _array(map(str, sorted(contributors))),
        "patterns": _array(sorted(patterns)),
        "now": str(now_ms),
    }
    connection.execute(_NARROW, values)


def _array(plain: Iterable[str]) -> str:
    """Return an array literal of texts without any character that needs quoting."""
    return "{" + ",".join(plain) + "}"
