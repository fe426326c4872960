"""The chore that holds the near copies to the index, and to their bound."""

import sqlalchemy as sa

from dgis.cache.sql import in_lists
from dgis.near.copies import NearCopies
from replica.tables import replica_object


def tidy(engine: sa.Engine, copies: NearCopies) -> int:
    """Remove copies of what is no longer in the grid, and those that are too many; returns how many.

    Raises:
        SQLAlchemyError: the database does not answer: nothing was removed.
    """
    held = copies.held()
    if not held:
        return copies.shrink()
    known: set[str] = set()
    row = replica_object.c
    with engine.connect() as connection:
        for part in in_lists([each.name for each in held]):
            there = sa.select(row.name).where(
                row.name.in_(part), row.committed_ms.is_not(None), row.removing_ms.is_(None)
            )
            known.update(connection.scalars(there))
    gone = [each.name for each in held if each.name not in known]
    for name in gone:
        copies.drop(name)
    return len(gone) + copies.shrink()
