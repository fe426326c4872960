"""Figures that live in the database: read when somebody asks for the metrics, and kept for a while."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from catalog import status as catalog
from catalog.tables import conflict
from dgis import overview
from dgis.cache.publish_queue import State
from dgis.cache.sql import reading
from dgis.merger.overview import merges
from dgis.publisher.tables import publish_part
from dgis.publisher.values import UNFINISHED
from dgis.repository import cursor
from dgis.tables import publish_job
from dgis.watch.kept import Kept
from replica import figures as replica
from replica.values import CopyState

_QUICK_SECONDS = 5.0
_SLOW_SECONDS = 60.0
_SLOW_SHARE = 100.0  # counting all rows may take a hundredth of the time


@dataclass(frozen=True, slots=True)
class _Gauge:
    """One figure: its samples as (values of the labels, number)."""

    name: str
    help: str
    samples: Sequence[tuple[tuple[str, ...], float]]
    labels: tuple[str, ...] = ()

    def family(self) -> Metric:
        """Return it as the client library has it."""
        made = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, number in self.samples:
            made.add_metric(labels, number)
        return made


class DatabaseFigures(Collector):
    """The gauges; where the database does not answer, one says so and the others are absent."""

    def __init__(self, engine: sa.Engine, gateway_id: str) -> None:
        self._engine = engine
        self._gateway_id = gateway_id
        self._quick = Kept(lambda: self._asked(self._read_quick), _QUICK_SECONDS)
        self._slow = Kept(lambda: self._asked(self._read_slow), _SLOW_SECONDS, _SLOW_SHARE)

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        began = perf_counter()
        found: list[_Gauge] = []
        try:
            found = [*self._quick.get(), *self._slow.get()]
            up = True
        except sa.exc.SQLAlchemyError:
            up = False
        answers = [
            _Gauge("dgis_database_up", "1 where the database answered", [((), up)]),
            _Gauge(
                "dgis_database_answer_seconds",
                "What reading these figures took",
                [((), perf_counter() - began)],
            ),
        ]
        return [gauge.family() for gauge in [*answers, *found]]

    def _asked(self, read: Callable[[sa.Connection], list[_Gauge]]) -> list[_Gauge]:
        with reading(self._engine) as connection:
            return read(connection)

    def _read_quick(self, connection: sa.Connection) -> list[_Gauge]:
        name = self._gateway_id
        return [
            *_queue(connection, name),
            *_copies(connection),
            *_audit(cursor.state(connection, name)),
            *_erasures(overview.erasures(connection, name)),
            *_merges(connection),
            _plain("dgis_conflicts", "Conflicts that wait for a decision", _conflicts(connection)),
        ]

    def _read_slow(self, connection: sa.Connection) -> list[_Gauge]:
        counts = catalog.status(connection)
        held = [
            (("received",), counts.received),
            (("pending",), counts.pending),
            (("published",), counts.published),
            (("sealed",), counts.withheld),
        ]
        good = [((node,), number) for node, number in replica.available(connection).items()]
        return [
            _Gauge("dgis_instances", "Instances of the catalog, by where they are", held, ("state",)),
            _Gauge("dgis_copies_available", "Copies that were verified, by node", good, ("node",)),
        ]


def _plain(name: str, words: str, number: float | None) -> _Gauge:
    return _Gauge(name, words, [] if number is None else [((), number)])


def _seconds(epoch_ms: int | None) -> float | None:
    return None if epoch_ms is None else epoch_ms / 1000


def _queue(connection: sa.Connection, gateway_id: str) -> list[_Gauge]:
    job, part = publish_job.c, publish_part.c
    unpublished = sa.and_(job.gateway_id == gateway_id, job.state != State.PUBLISHED.value)
    series, instances, first_ms = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(job.pending_instances), 0),
            sa.func.min(job.first_received_ms),
        ).where(unpublished)
    ).one()
    waiting, failing = connection.execute(
        sa.select(sa.func.count(), sa.func.count(part.last_error)).where(
            part.gateway_id == gateway_id, part.state.in_(UNFINISHED)
        )
    ).one()
    return [
        _plain("dgis_queue_series", "Series on their way into the grid", series),
        _plain("dgis_queue_instances", "Instances of them that are in no part yet", int(instances)),
        _plain("dgis_queue_parts", "Parts that are not published", waiting),
        _plain("dgis_queue_parts_failing", "Of them, those whose last attempt failed", failing),
        _plain(
            "dgis_queue_oldest_timestamp_seconds",
            "When the first instance of the series that waits longest came; absent: none waits",
            _seconds(first_ms),
        ),
    ]


def _copies(connection: sa.Connection) -> list[_Gauge]:
    found = replica.shortfalls(connection)
    nodes = sorted({node for node, _state in found.unsettled})
    others = [state for state in CopyState if state is not CopyState.AVAILABLE]
    unsettled = [
        ((node, state.value), found.unsettled.get((node, state), 0)) for node in nodes for state in others
    ]
    return [
        _Gauge(
            "dgis_copies_unsettled", "Copies that are not available, by state", unsettled, ("node", "state")
        ),
        _Gauge(
            "dgis_objects_short",
            "Objects that miss copies or wait to be looked at",
            [((kind.value,), number) for kind, number in found.short.items()],
            ("kind",),
        ),
        _Gauge(
            "dgis_objects_unreadable",
            "Objects without a copy that is known to be good",
            [((kind.value,), number) for kind, number in found.unreadable.items()],
            ("kind",),
        ),
        _plain(
            "dgis_scrub_oldest_timestamp_seconds",
            "When the good copy that was verified longest ago was; absent: there is none",
            _seconds(found.oldest_check_ms),
        ),
    ]


def _audit(state: dict[str, Any] | None) -> list[_Gauge]:
    known = state or {"waiting": None, "waiting_since_ms": None, "trouble": None}
    trouble = None if state is None else float(known["trouble"] is not None)
    return [
        _plain(
            "dgis_audit_waiting", "Entries of the trail not yet sent; absent: no repository", known["waiting"]
        ),
        _plain(
            "dgis_audit_oldest_timestamp_seconds",
            "When the first of them was written; absent: none waits",
            _seconds(known["waiting_since_ms"]),
        ),
        _plain("dgis_audit_trouble", "1 where the audit repository does not take them", trouble),
    ]


def _erasures(counts: dict[str, int]) -> list[_Gauge]:
    return [
        _plain("dgis_erasures_pending", "Erasures that this gateway has not done", counts["pending"]),
        _plain(
            "dgis_erasures_key_stores_pending",
            "Erasures that a key store does not know of",
            counts["key_stores_pending"],
        ),
    ]


def _merges(connection: sa.Connection) -> list[_Gauge]:
    found = merges(connection)
    return [
        _plain("dgis_merge_series", "Series whose small parts wait to be merged", found["waiting"]),
        _plain("dgis_merge_series_failing", "Of them, those whose last attempt failed", found["failing"]),
        _plain("dgis_merge_parts", "Parts whose place a merged one took", found["merged_parts"]),
    ]


def _conflicts(connection: sa.Connection) -> int:
    waiting = sa.select(sa.func.count()).select_from(conflict).where(conflict.c.resolved_ms.is_(None))
    return connection.scalar(waiting) or 0
