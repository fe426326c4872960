"""Bringing a schema forward with alembic: loaded only where one is not at its newest revision."""

from pathlib import Path

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

_log = structlog.get_logger(__name__)


class UnservedError(Exception):
    """The schema is of a version that no longer serves this one's code."""


def upgrade(connection: sa.Connection, migrations: Path, revision: str) -> None:
    """Bring the schema to a revision, in the caller's transaction.

    Raises:
        alembic.util.CommandError: there is no such revision here.
    """
    config = _configured(migrations)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def is_ahead(connection: sa.Connection, migrations: Path, floor: str | None) -> bool:
    """Tell whether the schema is newer than this version knows; `floor` is the oldest revision it serves.

    Raises:
        UnservedError: it is newer, and does not serve this version.
    """
    known = ScriptDirectory.from_config(_configured(migrations))
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None or current in {script.revision for script in known.walk_revisions()}:
        return False
    head = known.get_current_head()
    if floor is None or head is None or head < floor:
        raise UnservedError("the schema was made by a newer version, which no longer serves this one")
    _log.warning("schema_is_newer", schema=current, ours=head)
    return True


def _configured(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config
