"""Which version's code a schema still serves: a note that newer code leaves for older code.

Versions are rolled out gateway by gateway. The first of the new version brings the schema forward while old
gateways work on, and one of those may have to start anew meanwhile. It does not know the newer revision; it
finds here whether it may go on.
"""

from typing import Final

import sqlalchemy as sa

from dgis.tables import schema_floor

OLDEST_READER: Final = "0010"
"""The revision of the version before this one: its code runs on this schema."""
_ROW: Final = 1


def state_floor(connection: sa.Connection) -> None:
    """Note how old code may be, inside the transaction that brings the schema forward."""
    connection.execute(sa.delete(schema_floor))
    connection.execute(sa.insert(schema_floor).values(id=_ROW, revision=OLDEST_READER))


def read_floor(connection: sa.Connection) -> str | None:
    """Return the oldest revision whose code the schema serves; None where nobody noted it."""
    if not sa.inspect(connection).has_table(schema_floor.name):
        return None
    return connection.scalar(sa.select(schema_floor.c.revision))
