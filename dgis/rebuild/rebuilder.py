"""The way of a rebuild: what departed, the index, the rows of each part in turn, erasures; all repeatable.

    what departed is read from the nodes -> erasures are taken over from the key stores -> objects into the
    index -> each part in a transaction of its own, in the order in which they were made -> erasures once more
    -> `finished_ms`

A kill at any moment leaves a run without `finished_ms`, and the same command goes on with it: parts that are
done are not read again. A run that has finished is followed by a new one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa
import structlog

from catalog.adopt import hide
from catalog.tables import contributor
from dgis.cache.sql import reading
from dgis.departed import notes
from dgis.departed.tables import departed
from dgis.departed.values import Why
from dgis.erasure import tombstones
from dgis.rebuild.listing import found_on
from dgis.rebuild.objects import KINDS, Taking, take
from dgis.rebuild.reading import Reading
from dgis.rebuild.tables import rebuild_part, rebuild_run
from dgis.rebuild.values import Objects, PartRead, Report, Trouble
from dgis.rebuild.writing import Writing, write_part
from dgis.retention import holds
from dgis.retention.removal import remove_records
from storage_nodes.addresses import Kind

_log = structlog.get_logger(__name__)

_RUN = 1
_HOLDS_LOST = "made anew from the nodes: which holds there were is not known"
_AT_ONCE = 200
_AHEAD = 8  # parts read before the one that is being written: each holds its headers in memory

NOT_REBUILT = (
    "grants beyond those of publishers, refusals of consent, links between patients",
    "accounts and credentials",
    "the audit trail",
    "the log of reviews, but for what it withdrew; holds",
    "what was received and is not yet in the grid, conflicts: the cache has them, dgis serve indexes it",
)
"""What no node holds; it comes from a backup."""

_Item = TypeVar("_Item")
Told = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how many (0: not known)."""


class NodesMissing(Exception):  # noqa: N818 (reads as what happened)
    """Too few nodes answer for anything to be made anew safely; the text says how many must."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a rebuild works with; `threads` read parts ahead."""

    taking: Taking
    reading: Reading
    writing: Writing
    clock_ms: Callable[[], int]
    threads: int = 2


class Rebuilder:
    """Makes index and catalog anew from the nodes; `run` may be called again and again."""

    def __init__(self, means: Means, told: Told = lambda _what, _done, _of: None) -> None:
        self._means = means
        self._engine = means.taking.replicas.engine
        self._told = told
        self._unreachable: dict[str, str] = {}

    def run(self) -> Report:
        """Go on with what a kill broke off, or begin anew; returns what it came to.

        Raises:
            NodesMissing: too few nodes say what departed.
            KeyStoreUnavailable: the key stores do not answer; to be tried again.
        """
        self._begin()
        gone = self._departed()
        erasures = self._erasures()
        objects = self._objects()
        self._parts()
        self._hide()
        erasures += self._erasures()
        now_ms = self._means.clock_ms()
        with self._engine.begin() as connection:
            connection.execute(sa.update(rebuild_run).values(finished_ms=now_ms))
            report = self._report(connection, objects, erasures, gone)
        _log.info("rebuilt", parts=report.parts, complete=report.complete)
        return report

    def _begin(self) -> None:
        with self._engine.begin() as connection:
            run = connection.execute(sa.select(rebuild_run).with_for_update()).one_or_none()
            if run is not None and run.finished_ms is None:
                return
            connection.execute(sa.delete(rebuild_part))
            connection.execute(sa.delete(rebuild_run))
            now_ms = self._means.clock_ms()
            connection.execute(sa.insert(rebuild_run).values(id=_RUN, began_ms=now_ms))
            if connection.execute(sa.select(contributor.c.id).limit(1)).first() is None:
                holds.hold_everything(connection, _HOLDS_LOST, "dgis rebuild", now_ms)

    def _departed(self) -> int:
        """Take over what the nodes were told of, before anything that may be meant is shown."""
        replicas = self._means.taking.replicas
        fleet, quorum = replicas.fleet, min(rule.write_quorum for rule in replicas.rules)
        for some in _batches(notes.told(fleet, self._unreachable, self._means.clock_ms())):
            with self._engine.begin() as connection:
                notes.add(connection, some)
        nodes = len(fleet.names(Kind.SEALED))
        needed = max(1, nodes - quorum + 1)
        if nodes - len(self._unreachable) < needed:
            raise NodesMissing(
                f"{nodes - len(self._unreachable)} of {nodes} nodes answer, {needed} must: what was "
                "withdrawn or removed may be known to the others alone"
            )
        with reading(self._engine) as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(departed)) or 0

    def _erasures(self) -> int:
        secrets = self._means.reading.secrets
        if secrets is None:
            return 0
        return tombstones.compare(self._engine, secrets.keys, self._means.clock_ms()).adopted

    def _objects(self) -> Objects:
        total = Objects()
        fleet = self._means.taking.replicas.fleet
        for kind in KINDS:
            for some in _batches(found_on(fleet, kind, self._unreachable)):
                total = _sum(total, take(self._means.taking, some))
                self._told(f"listing {kind}s", total.listed, 0)
        return total

    def _parts(self) -> None:
        done, count = self._count()
        with ThreadPoolExecutor(self._means.threads, thread_name_prefix="rebuild") as pool:
            ahead: deque[Future[PartRead]] = deque()
            for record_key, planned_ms in self._to_do():
                ahead.append(pool.submit(self._means.reading.read, record_key, planned_ms))
                if len(ahead) >= _AHEAD:
                    done = self._write(ahead.popleft(), done, count)
            while ahead:
                done = self._write(ahead.popleft(), done, count)

    def _write(self, part: Future[PartRead], done: int, count: int) -> int:
        write_part(self._means.writing, part.result(), self._means.clock_ms())
        self._told("reading parts", done + 1, count)
        return done + 1

    def _count(self) -> tuple[int, int]:
        counted = sa.select(sa.func.count(), sa.func.count().filter(rebuild_part.c.done))
        with reading(self._engine) as connection:
            count, done = connection.execute(counted.select_from(rebuild_part)).one()
        return done, count

    def _to_do(self) -> Iterator[tuple[str, int]]:
        part = rebuild_part.c
        after: tuple[int, str] = (-1, "")
        while True:
            page = (
                sa.select(part.record_key, part.planned_ms)
                .where(part.done.is_(False), sa.tuple_(part.planned_ms, part.record_key) > after)
                .order_by(part.planned_ms, part.record_key)
                .limit(_AT_ONCE)
            )
            with reading(self._engine) as connection:
                rows = connection.execute(page).all()
            yield from ((row.record_key, row.planned_ms) for row in rows)
            if len(rows) < _AT_ONCE:
                return
            after = (rows[-1].planned_ms, rows[-1].record_key)

    def _hide(self) -> None:
        """Take out what an older database still shows, and was withdrawn or removed since."""
        with reading(self._engine) as connection:
            removed = sorted({each.record_key for each in notes.everything(connection, Why.REMOVED)})
        for some in _batches(removed):
            with self._engine.begin() as connection:
                remove_records(connection, some, self._means.clock_ms())
        with reading(self._engine) as connection:
            said = notes.everything(connection, Why.WITHDRAWN)
            keys = [(each.record_key, each.instance_key) for each in said]
        for record_key, instance_key in keys:
            with self._engine.begin() as connection:
                hide(connection, record_key, [instance_key])

    def _report(self, connection: sa.Connection, objects: Objects, erasures: int, gone: int) -> Report:
        part = rebuild_part.c
        sums = sa.select(
            sa.func.count().label("parts"),
            sa.func.coalesce(sa.func.sum(part.forms), 0).label("forms"),
            sa.func.coalesce(sa.func.sum(part.originals), 0).label("originals"),
        )
        row = connection.execute(sums).one()
        troubles = (
            sa.select(part.trouble, sa.func.count())
            .where(part.trouble.is_not(None))
            .group_by(part.trouble)
            .order_by(part.trouble)
        )
        counted = [(row[0], int(row[1])) for row in connection.execute(troubles)]
        return Report(
            objects=objects,
            parts=row.parts,
            forms=int(row.forms),
            originals=int(row.originals),
            troubles={str(Trouble(trouble)): count for trouble, count in counted},
            erasures=erasures,
            departed=gone,
            unreachable=dict(sorted(self._unreachable.items())),
            keys=self._means.reading.secrets is not None,
            not_rebuilt=NOT_REBUILT,
        )


def _batches(found: Iterable[_Item]) -> Iterator[list[_Item]]:
    rest = iter(found)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _sum(one: Objects, other: Objects) -> Objects:
    names = [each.name for each in fields(Objects)]
    return Objects(**{name: getattr(one, name) + getattr(other, name) for name in names})
