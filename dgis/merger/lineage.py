"""Which parts lie in a part because they were merged into it, over any number of merges."""

from collections.abc import Iterable

import sqlalchemy as sa

from dgis.cache.sql import in_lists
from dgis.merger.tables import merged_part


def merged_into(connection: sa.Connection, record_keys: Iterable[str]) -> dict[str, set[str]]:
    """Return, for each of these parts, the keys of all whose place it took; those of none are left out."""
    found: dict[str, set[str]] = {}
    whose = {key: {key} for key in record_keys}  # an older part -> which of the asked ones it lies in
    while whose:
        older: dict[str, set[str]] = {}
        for some in in_lists(sorted(whose)):
            query = sa.select(merged_part.c.record_key, merged_part.c.into_key).where(
                merged_part.c.into_key.in_(some)
            )
            for row in connection.execute(query):
                older.setdefault(row.record_key, set()).update(whose[row.into_key])
        for key, asked in older.items():
            for each in asked:
                found.setdefault(each, set()).add(key)
        whose = older
    return found
