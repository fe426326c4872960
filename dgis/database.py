"""The one SQL database: engine, pragmas, migrations. SQLite embedded, PostgreSQL beyond one machine."""

import fcntl
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
import structlog

from dgis.configuration import Configuration
from dgis.postgres import server_engine
from dgis.schema_floor import read_floor, state_floor
from dgis.transactions import Patience, again

_log = structlog.get_logger(__name__)

_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 0x44474953  # "DGIS": advisory lock, so that two gateways starting at once migrate once
_MIGRATION_LOCK_SECONDS = 5
_MIGRATION_PATIENCE = Patience(300.0)
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


def open_engine(configuration: Configuration, role: str = "command") -> sa.Engine:
    """Return an engine for the configured database, as a role needs it; nothing is connected yet."""
    url = database_url(configuration)
    if url.get_backend_name() != "sqlite":
        return server_engine(url, role, configuration.gateway.name)
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


class SchemaError(Exception):
    """The schema is of a version that this one cannot live with; the message says which way."""


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to the newest revision; safe when several processes start at once.

    On PostgreSQL the commit of the one transaction is the commit point: a crash before it leaves the old
    schema. It waits for a lock only shortly, then begins anew, so that others at work do not queue behind it.
    A schema of a newer version is left as it is, where that version says that this one can live with it.

    Raises:
        SchemaError: the schema is of a version that this one cannot live with.
    """
    if _is_current(engine):
        return  # nearly always, and what brings a schema forward takes long to load
    with _one_at_a_time(engine):
        again(lambda: _upgrade(engine), _MIGRATION_PATIENCE)


def newest_revision() -> str:
    """Return the revision that this version brings a schema to, by the name of its file."""
    return max(path.stem.split("_")[1] for path in (_MIGRATIONS / "versions").glob("rev_*.py"))


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
    """Bring the schema to a revision, in the caller's transaction.

    Raises:
        alembic.util.CommandError: there is no such revision here.
    """
    from dgis import migrating  # noqa: PLC0415 - as above

    migrating.upgrade(connection, _MIGRATIONS, revision)


def _is_current(engine: sa.Engine) -> bool:
    try:
        with engine.execution_options(read_only=True).connect() as connection:
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
            return [*found] == [newest_revision()] and read_floor(connection) is not None
    except sa.exc.SQLAlchemyError:
        return False  # it is new, or no database, or not there: what follows meets the same and says so


def _upgrade(engine: sa.Engine) -> None:
    from dgis import migrating  # noqa: PLC0415 - as above

    with engine.connect() as connection:
        try:
            if migrating.is_ahead(connection, _MIGRATIONS, read_floor(connection)):
                return
        except migrating.UnservedError as error:
            raise SchemaError(str(error)) from error
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL statement_timeout TO 0")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout TO '{_MIGRATION_LOCK_SECONDS}s'")
        upgrade(connection)
        state_floor(connection)
        connection.commit()


@contextmanager
def _one_at_a_time(engine: sa.Engine) -> Iterator[None]:
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # with limits of its own it must not return to the pool
        for limit in ("statement_timeout", "lock_timeout"):
            connection.exec_driver_sql(f"SET {limit} TO 0")
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
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:  # idle for long
        got = connection.scalar(sa.text("SELECT pg_try_advisory_lock(:ours, :key)"), key)
        yield bool(got)
        # The lock goes with the session, however that ends.
        connection.invalidate()


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
