"""Counts of what the door turned away, so that `dgis status` accounts for everything that was ever sent."""

import threading
from collections import Counter

import sqlalchemy as sa
import structlog

from dgis.cache.sql import upsert
from dgis.tables import metadata

_log = structlog.get_logger(__name__)

door_count = sa.Table(
    "door_count",
    metadata,
    sa.Column("gateway_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),  # dgis.dimse.services.Note
    sa.Column("detail", sa.Text, primary_key=True),  # a status, or how an association ended; never content
    sa.Column("count", sa.BigInteger, nullable=False),
)

Kind = tuple[str, str]


class Accounts:
    """Counts in memory; `write` adds to the database, and a dead database delays nothing else."""

    def __init__(self, engine: sa.Engine, gateway_id: str) -> None:
        self._engine = engine
        self._gateway_id = gateway_id
        self._lock = threading.Lock()
        self._counts: Counter[Kind] = Counter()

    def add(self, kind: str, detail: str) -> None:
        """Count one event."""
        with self._lock:
            self._counts[kind, detail] += 1

    def write(self) -> None:
        """Write down what was counted since; what the database does not take is kept."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        rows = [
            {"gateway_id": self._gateway_id, "kind": kind, "detail": detail, "count": count}
            for (kind, detail), count in sorted(counts.items())
        ]
        added = sa.literal_column("excluded.count", sa.BigInteger)
        try:
            with self._engine.begin() as connection:
                upsert(
                    connection,
                    door_count,
                    rows,
                    key=("gateway_id", "kind", "detail"),
                    update={"count": door_count.c.count + added},
                )
        except sa.exc.SQLAlchemyError as error:
            _log.warning("counts_wait", error=type(error).__name__)
            with self._lock:
                self._counts.update(counts)


def counts(connection: sa.Connection, gateway_id: str) -> dict[str, dict[str, int]]:
    """Return what was counted, by kind and detail."""
    rows = connection.execute(
        sa.select(door_count.c.kind, door_count.c.detail, door_count.c.count)
        .where(door_count.c.gateway_id == gateway_id)
        .order_by(door_count.c.kind, door_count.c.detail)
    )
    found: dict[str, dict[str, int]] = {}
    for kind, detail, count in rows:
        found.setdefault(kind, {})[detail] = count
    return found
