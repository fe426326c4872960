"""PostgreSQL as the gateway wants it: a pool for each role, one primary among several hosts, time limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    import psycopg  # a gateway on SQLite does without it


@dataclass(frozen=True, slots=True)
class Pool:
    """What one process of a role takes of the server.

    Attributes:
        size: connections that stay open once they were needed.
        overflow: further ones while there is more to do.
        statement_seconds: after which the server ends a statement; 0: never.
    """

    size: int
    overflow: int
    statement_seconds: int


POOLS: Final[Mapping[str, Pool]] = {
    "dicom": Pool(10, 20, 120),  # an association holds one for the length of a page, not of an answer
    "web": Pool(5, 15, 120),
    "worker": Pool(10, 20, 1800),  # goes through whole indexes
    "command": Pool(1, 4, 0),
}
_CONNECT: Final = {
    "connect_timeout": "5",  # seconds, a host: with several, the next is asked
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",  # milliseconds: a host that vanished is not waited for as long as TCP would
}
_LOCK_SECONDS: Final = 30
_IDLE_SECONDS: Final = 120
"""In a transaction: a process that hangs must not hold locks, nor keep dead rows, for ever."""
READ_ONLY: Final = "25006"
"""read_only_sql_transaction: the server was a primary and is none now."""


def server_engine(url: sa.URL, role: str = "command", name: str = "") -> sa.Engine:
    """Return an engine for a server, or for several of which one is the primary; nothing is connected yet.

    Args:
        url: with several `host` parameters, the one that takes writes is used.
        role: one of POOLS.
        name: under which the server lists the connections.
    """
    pool = POOLS[role]
    engine = sa.create_engine(
        url,
        connect_args=_connect_arguments(url, f"dgis {role} {name}".strip()),
        pool_pre_ping=True,
        pool_size=pool.size,
        max_overflow=pool.overflow,
        pool_recycle=1800,
        hide_parameters=True,  # an error's text would quote them, and they are patients' data
    )

    def prepare(connection: "psycopg.Connection", _record: object) -> None:
        _introduce(connection, pool)

    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "handle_error", _leave_a_standby)
    return engine


def _connect_arguments(url: sa.URL, name: str) -> dict[str, Any]:
    """Return what the URL does not say itself."""
    wanted = {**_CONNECT, "application_name": name}
    if _has_several_hosts(url):
        wanted["target_session_attrs"] = "read-write"
    return {key: value for key, value in wanted.items() if key not in url.query}


def _has_several_hosts(url: sa.URL) -> bool:
    hosts = url.query.get("host", ())
    return "," in hosts if isinstance(hosts, str) else len(hosts) > 1


def _introduce(connection: "psycopg.Connection", pool: Pool) -> None:
    # Row-level security shows originals to nobody by default; the gateway's own transactions see them, those
    # that answer a caller narrow themselves (catalog.second_line). Statements, not options of the connection:
    # a pooler in between passes these on.
    connection.execute("SET dgis.originals TO 'all'")
    connection.execute(f"SET statement_timeout TO '{pool.statement_seconds}s'")
    connection.execute(f"SET lock_timeout TO '{_LOCK_SECONDS}s'")
    connection.execute(f"SET idle_in_transaction_session_timeout TO '{_IDLE_SECONDS}s'")
    connection.commit()


def _leave_a_standby(context: sa.engine.ExceptionContext) -> None:
    """Give up a connection to a server that takes no writes any more: the next one finds the primary."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True
