"""Cleaning the files of the database: a deleted row stays in free pages and in the log of changes."""

import sqlite3

import sqlalchemy as sa
import structlog
from sqlalchemy.engine.interfaces import DBAPICursor

_log = structlog.get_logger(__name__)

_IN_MEMORY_BELOW_BYTES = 512 << 20


class Cleaner:
    """Leaves nothing of deleted rows in the database's files.

    SQLite is written anew and its log of changes cut off; the copy made meanwhile stays in memory unless the
    database is large. What a server keeps is its operator's to clean (docs/security.md, Erasing).
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._written_for: frozenset[int] = frozenset()

    def run_once(self, erasures: frozenset[int]) -> bool:
        """Clean up after these erasures; False where somebody reads an old state, so that it is not done."""
        if self._engine.dialect.name != "sqlite":
            return True
        raw = self._engine.raw_connection()
        try:
            cursor = raw.cursor()
            if not erasures <= self._written_for:
                _write_anew(cursor)
                self._written_for = erasures
            busy = _number(cursor, "PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.close()
        except sqlite3.OperationalError as error:
            _log.warning("database_not_cleaned", error=type(error).__name__)
            return False
        finally:
            raw.close()
        return not busy


def _write_anew(cursor: DBAPICursor) -> None:
    size = _number(cursor, "PRAGMA page_count") * _number(cursor, "PRAGMA page_size")
    cursor.execute(f"PRAGMA temp_store={'MEMORY' if size < _IN_MEMORY_BELOW_BYTES else 'DEFAULT'}")
    cursor.execute("VACUUM")
    cursor.execute("PRAGMA temp_store=DEFAULT")


def _number(cursor: DBAPICursor, pragma: str) -> int:
    cursor.execute(pragma)
    row = cursor.fetchone()
    return int(row[0]) if row else 0
