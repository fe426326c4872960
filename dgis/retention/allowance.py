"""Quotas: how much a facility has stored, counted from the rows, and whether it may store more.

A door counts when it starts and every ten seconds, from the last row it counted; what it takes in between
it adds itself, so that a store asks a number in memory and no table. Once an hour it counts all rows
anew, for some are deleted. Several doors of a facility may together exceed a quota by what they take
within ten seconds, and one by what waits to be indexed.
"""

import threading
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
import structlog

from catalog.tables import PHI, contributor
from dgis.retention.configuration import Quota

_log = structlog.get_logger(__name__)

_ALL_EVERY = 360  # counts from the last row, before all rows are counted: an hour


class Allowance:
    """What the facility of one door may still store."""

    def __init__(self, engine: sa.Engine, facility: str, quotas: Sequence[Quota]) -> None:
        self._engine = engine
        self._facility = facility
        self._quota = next((each for each in quotas if each.facility == facility), None)
        self._lock = threading.Lock()
        self._instances = self._bytes = self._last_row = 0
        self._taken = (0, 0)  # since the last count: instances and bytes that may not have rows yet
        self._turn = 0
        if self.limited:
            self.count()

    @property
    def limited(self) -> bool:
        """Whether there is a quota at all."""
        return self._quota is not None

    def exceeded(self) -> str:
        """Return why nothing more is taken, in the words of an Error Comment; empty while it is."""
        quota = self._quota
        if quota is None:
            return ""
        with self._lock:
            instances, size = self._instances + self._taken[0], self._bytes + self._taken[1]
        if quota.instances is not None and instances >= quota.instances:
            return f"quota of the facility is reached: {quota.instances} instances"
        if quota.bytes is not None and size >= quota.bytes:
            return f"quota of the facility is reached: {quota.bytes} bytes"
        return ""

    def took(self, length: int) -> None:
        """Add an instance of so many bytes that was taken just now."""
        with self._lock:
            self._taken = (self._taken[0] + 1, self._taken[1] + length)

    def count(self) -> None:
        """Count what has rows by now; a database that does not answer leaves the numbers as they were."""
        anew = self._turn % _ALL_EVERY == 0
        with self._lock:
            before = self._taken
        try:
            found = self._counted(0 if anew else self._last_row)
        except sa.exc.SQLAlchemyError as error:
            _log.warning("quota_not_counted", error=type(error).__name__)
            return
        with self._lock:
            self._turn += 1
            base = (0, 0) if anew else (self._instances, self._bytes)
            self._instances, self._bytes = base[0] + found.instances, base[1] + found.bytes
            self._last_row = found.last_row or self._last_row
            # What was taken before the count began has its row, or gets it before the next count, mostly.
            self._taken = (self._taken[0] - before[0], self._taken[1] - before[1])

    def _counted(self, after_row: int) -> Any:  # noqa: ANN401 - a row of three numbers
        with self._engine.connect() as connection:
            return connection.execute(
                _use().where(contributor.c.facility == self._facility, PHI.instance.c.id > after_row)
            ).one()


def use_of(connection: sa.Connection, quotas: Sequence[Quota]) -> dict[str, dict[str, Any]]:
    """Return what each facility with a quota has stored, and whether it may store more."""
    found: dict[str, dict[str, Any]] = {}
    for quota in quotas:
        row = connection.execute(_use().where(contributor.c.facility == quota.facility)).one()
        full_bytes = quota.bytes is not None and row.bytes >= quota.bytes
        full_instances = quota.instances is not None and row.instances >= quota.instances
        found[quota.facility] = {
            "instances": int(row.instances),
            "bytes": int(row.bytes),
            "quota_instances": quota.instances,
            "quota_bytes": quota.bytes,
            "full": full_bytes or full_instances,
        }
    return found


def _use() -> sa.Select[tuple[int, int, int]]:
    instance, series = PHI.instance, PHI.series
    return (
        sa.select(
            sa.func.count().label("instances"),
            sa.func.coalesce(sa.func.sum(instance.c.size_bytes), 0).label("bytes"),
            sa.func.coalesce(sa.func.max(instance.c.id), 0).label("last_row"),
        )
        .select_from(instance)
        .join(series, series.c.id == instance.c.series_row)
        .join(contributor, contributor.c.id == series.c.contributor_id)
    )
