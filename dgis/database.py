"""The one SQL database: engine, pragmas, migrations. SQLite embedded, PostgreSQL beyond one machine."""

import fcntl
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from dgis.configuration import Configuration

_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 0x44474953  # "DGIS": advisory lock, so that two gateways starting at once migrate once
_BUSY_MS = 30_000
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",  # a deleted row is zeros at once; dgis.erasure.database cleans what this misses
    f"busy_timeout={_BUSY_MS}",
    "cache_size=-16384",  # KiB a connection; the default of 2 MB doubles the time of a thousand matches
    "mmap_size=268435456",
)


def database_url(configuration: Configuration) -> sa.URL:
    """Return the SQLAlchemy URL; the bare word `sqlite` means a file under the home."""
    if configuration.catalog.url == "sqlite":
        return sa.URL.create("sqlite", database=str(configuration.gateway.home / "catalog.sqlite"))
    return sa.make_url(configuration.catalog.url)


def open_engine(configuration: Configuration) -> sa.Engine:
    """Return an engine for the configured database; nothing is connected yet."""
    url = database_url(configuration)
    if url.get_backend_name() != "sqlite":
        server = sa.create_engine(
            url,
            pool_pre_ping=True,
            pool_size=10,
            max_overflow=20,
            pool_recycle=1800,
            hide_parameters=True,  # an error's text would quote them, and they are patients' data
        )
        sa.event.listen(server, "connect", _as_the_gateway)
        return server
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = sa.create_engine(
        url,
        connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False},
        max_overflow=-1,  # a query that is read slowly must not keep the indexer from its connection
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _sqlite_pragmas)
    sa.event.listen(engine, "begin", _sqlite_begin)
    return engine


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to the newest revision; safe when several processes start at once."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with _one_at_a_time(engine), engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


@contextmanager
def _one_at_a_time(engine: sa.Engine) -> Iterator[None]:
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        try:
            yield
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})


@contextmanager
def alone(engine: sa.Engine, work: str) -> Iterator[bool]:
    """Hold a piece of work for this process alone, over all gateways; yields False where another has it."""
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.{work}").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        return
    key = {"key": zlib.crc32(work.encode()) >> 1, "ours": _MIGRATION_LOCK}
    with engine.connect() as connection:
        got = connection.scalar(sa.text("SELECT pg_try_advisory_lock(:ours, :key)"), key)
        yield bool(got)
        # The lock goes with the session, however that ends.
        connection.invalidate()


def _as_the_gateway(connection: psycopg.Connection, _record: object) -> None:
    # Row-level security shows originals to nobody by default; the gateway's own transactions see them, those
    # that answer a caller narrow themselves (catalog.second_line).
    connection.execute("SET dgis.originals TO 'all'")
    connection.commit()


def _sqlite_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own BEGIN handling is switched off: it would start writers as readers and then fail
    # on upgrade instead of waiting.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: sa.Connection) -> None:
    # `deferred`: reads first and perhaps writes a little at the end; ready to begin anew if it may not.
    options = connection.get_execution_options()
    later = options.get("read_only", False) or options.get("deferred", False)
    connection.exec_driver_sql("BEGIN" if later else "BEGIN IMMEDIATE")
