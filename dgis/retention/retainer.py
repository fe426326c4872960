"""One gateway's share of retention: deleting what is due, and writing over what its own cache held of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from dgis.cache.files import SegmentFiles
from dgis.cache.sql import reading
from dgis.cache.wipe import Wiper
from dgis.departed.tables import departed
from dgis.departed.values import Why
from dgis.retention.due import Due, due
from dgis.retention.removal import Removed, Removing, remove_series

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Deleted:
    """One series that was due, and what became of it: None where it stayed after all."""

    due: Due
    removed: Removed | None


def delete_due(engine: sa.Engine, by: Removing, now_ms: int) -> Iterator[Deleted]:
    """Delete what is due and on no hold, series by series; stopped anywhere, the next run goes on."""
    with reading(engine) as connection:
        found = [each for each in due(connection, by.rules, now_ms) if each.held is None]
    for each in found:
        yield Deleted(each, remove_series(engine, each.series, by, now_ms))


class Retainer:
    """The chore of a worker."""

    def __init__(
        self, engine: sa.Engine, files: SegmentFiles, gateway_id: str, clock_ms: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._wiper = Wiper(files, engine, gateway_id)
        self._clock_ms = clock_ms
        self._wiped_ms = 0

    def run_once(self, by: Removing | None) -> int:
        """Delete what is due where rules say so, and write over what went from this cache; returns series."""
        count = 0
        if by is not None:
            count = sum(each.removed is not None for each in delete_due(self._engine, by, self._clock_ms()))
            if count:
                _log.info("retention_deleted", series=count)
        self._wipe()
        return count

    def _wipe(self) -> None:
        removed = sa.select(sa.func.max(departed.c.at_ms)).where(departed.c.why == Why.REMOVED.value)
        with reading(self._engine) as connection:
            latest_ms = connection.scalar(removed) or 0
        if latest_ms > self._wiped_ms and not self._wiper.wipe():
            self._wiped_ms = latest_ms
