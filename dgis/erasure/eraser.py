"""One gateway's share of the erasures, in rounds that can be repeated, by any of its processes.

    ask (dgis.erasure.intents): originals lose their rows, every gateway learns of it   <- the commit point
    -> tombstone in every key store that answers: nothing sealed opens any more
    -> rows that were indexed late go too, and bytes held apart -> freed bytes are written over
    -> spare files are written over (`swept_ms`) -> the door ends segments that were made of spares before
    -> when these are indexed to their end and nothing was left: the database's files are cleaned, `done_ms`

A crash after any step leaves an erasure that the next round goes on with; every step is repeated until it
finds nothing to do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from deid.keys.store import KeyStore
from dgis import failpoints
from dgis.cache.files import SegmentFiles
from dgis.cache.sql import reading
from dgis.cache.wipe import Wiper
from dgis.erasure import held, intents
from dgis.erasure.database import Cleaner
from dgis.erasure.held import Names
from dgis.erasure.originals import take_away
from dgis.erasure.tombstones import Spreader
from dgis.erasure.values import Round, Task

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What erasing works with; `names` gives pseudonyms, `forget` drops what memory holds for speed."""

    engine: sa.Engine
    keys: KeyStore
    names: Names
    files: SegmentFiles
    gateway_id: str
    clock_ms: Callable[[], int]
    forget: Callable[[], None] = lambda: None


class Eraser:
    """Does what erasures ask of one gateway; several may run at once."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._engine = means.engine
        self._wiper = Wiper(means.files, means.engine, means.gateway_id)
        self._spreader = Spreader(means.engine, means.keys)
        self._cleaner = Cleaner(means.engine)
        self._looker = held.Looker(means.engine, means.files, means.gateway_id, means.names)

    def run_once(self) -> Round:
        """Go one round; cheap where nothing is asked for."""
        stores_pending = self._spreader.run_once(self._means.clock_ms())
        failpoints.hit("erase.shredded")
        with reading(self._engine) as connection:
            tasks = intents.tasks(connection, self._means.gateway_id)
        if not tasks:
            return Round(stores_pending=stores_pending)
        self._means.forget()
        settled = [task for task in tasks if task.swept_ms and self._wiper.settled(task.swept_ms)]
        found = self._take_away(tasks)
        failpoints.hit("erase.rows_gone")
        in_use = self._wiper.wipe()
        failpoints.hit("erase.wiped")
        if in_use or found.busy:
            return Round(0, len(tasks), in_use, held_unread=len(found.unread), stores_pending=stores_pending)
        self._sweep([task for task in tasks if not task.swept_ms])
        clean_now = bool(settled) and self._cleaner.run_once(frozenset(each.erasure.id for each in settled))
        if clean_now:
            failpoints.hit("erase.cleaned")
            self._note(settled, done_ms=self._means.clock_ms())
            _log.info("erasures_done", erasures=len(settled))
        done = len(settled) if clean_now else 0
        return Round(
            done=done,
            waiting=len(tasks) - done,
            unsettled=len(settled) < len(tasks),
            unclean=bool(settled) and not clean_now,
            held_unread=len(found.unread),
            stores_pending=stores_pending,
        )

    def _take_away(self, tasks: Sequence[Task]) -> held.Held:
        """Take away rows that came since it was asked for, and bytes that are held apart."""
        now_ms = self._means.clock_ms()
        for each in (task.erasure for task in tasks):
            with self._engine.begin() as connection:
                taken = take_away(connection, each.patient_key, each.requested_ms, now_ms)
                intents.add_counts(connection, each.id, **taken.counts())
        found = self._looker.look([task.erasure for task in tasks])
        if found.rows or found.gone:
            with self._engine.begin() as connection:
                for erasure_id, count in held.forget(connection, found).items():
                    intents.add_counts(connection, erasure_id, held=count)
        return found

    def _sweep(self, tasks: Sequence[Task]) -> None:
        """Write over the spares; segments that were made before may be of such, and are to end."""
        if not tasks:
            return
        self._wiper.wipe_spares()
        failpoints.hit("erase.spares_wiped")
        self._note(tasks, swept_ms=self._means.clock_ms())

    def _note(self, tasks: Sequence[Task], **values: int) -> None:
        with self._engine.begin() as connection:
            intents.note(connection, self._means.gateway_id, tasks, **values)
