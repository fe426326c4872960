"""Writing down what departed, in the transaction in which it goes, and telling every node of it after.

The commit of that transaction is the commit point. The nodes follow: until one has been told, a database made
anew from that node alone would show again what went. The worker tells those that were away.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
import structlog

from catalog.sql import insert_ignoring
from catalog.tables import PHI
from dgis.cache.sql import in_lists, reading
from dgis.departed.tables import departed
from dgis.departed.values import PREFIX, Departed, Why
from dgis.merger.lineage import merged_into
from replica.fleet import Fleet
from storage_nodes.addresses import Kind
from storage_nodes.errors import NameTaken, NodeError

_log = structlog.get_logger(__name__)

_AT_ONCE = 200


def add(connection: sa.Connection, gone: Iterable[Departed]) -> None:
    """Write down what goes; what is written down already stays as it is.

    What goes from a part goes from those that were merged into it as well: a node that was away may hold
    them still.
    """
    going = list(gone)
    older = merged_into(connection, {each.record_key for each in going})
    rows = [
        {"record_key": key, "instance_key": each.instance_key, "why": each.why, "at_ms": each.at_ms}
        for each in going
        for key in (each.record_key, *sorted(older.get(each.record_key, ())))
    ]
    for some in in_lists(rows):
        connection.execute(insert_ignoring(connection, departed), some)


def add_instances(connection: sa.Connection, phi_instance_ids: Sequence[int], why: Why, now_ms: int) -> None:
    """Write down that instances go from the parts in which they lie; those in no part need no word.

    Their rows are locked, so that none moves to another part before the caller has done what it says here.
    """
    instance = PHI.instance.c
    for some in in_lists(phi_instance_ids):
        placed = (
            sa.select(instance.record_key, instance.instance_key)
            .where(instance.id.in_(some), instance.record_key.is_not(None))
            .order_by(instance.id)
            .with_for_update(key_share=True)
        )
        rows = connection.execute(placed).all()
        add(connection, [Departed(row.record_key, row.instance_key, why, now_ms) for row in rows])


def known(connection: sa.Connection, record_keys: Sequence[str]) -> list[Departed]:
    """Return what departed of some parts."""
    found: list[Departed] = []
    for some in in_lists(record_keys):
        rows = connection.execute(sa.select(departed).where(departed.c.record_key.in_(some)))
        found += [_of(row) for row in rows]
    return found


def of_instances(connection: sa.Connection, instance_keys: Sequence[str], why: Why) -> list[Departed]:
    """Return from which parts some instances departed for a reason."""
    found: list[Departed] = []
    for some in in_lists(instance_keys):
        query = sa.select(departed).where(departed.c.instance_key.in_(some), departed.c.why == why.value)
        found += [_of(row) for row in connection.execute(query)]
    return found


def everything(connection: sa.Connection, why: Why) -> list[Departed]:
    """Return all that departed for a reason."""
    return [_of(row) for row in connection.execute(sa.select(departed).where(departed.c.why == why.value))]


class Teller:
    """Tells the nodes, beside the sealed companions; one that does not answer is told later."""

    def __init__(self, engine: sa.Engine, fleet: Fleet, clock_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._fleet = fleet
        self._clock_ms = clock_ms

    def run_once(self) -> int:
        """Tell of what some node has not heard; returns how much of it every node knows now."""
        with reading(self._engine) as connection:
            waiting = sa.select(departed).where(departed.c.spread_ms.is_(None)).limit(_AT_ONCE)
            rows = connection.execute(waiting).all()
        told = [row for row in rows if self._told(_of(row))]
        with self._engine.begin() as connection:
            for row in told:
                same = [departed.c[name] == getattr(row, name) for name in _KEY]
                connection.execute(sa.update(departed).where(*same).values(spread_ms=self._clock_ms()))
        return len(told)

    def _told(self, gone: Departed) -> bool:
        away = 0
        for name in self._fleet.names(Kind.SEALED):
            node = self._fleet.node(Kind.SEALED, name)
            if node is None:
                continue
            try:
                with self._fleet.watched(Kind.SEALED, name):
                    node.put(gone.name, gone.body, gone.sha256)
            except NameTaken:
                continue  # it was told of with another time: the name says all
            except NodeError as error:
                away += 1
                _log.info("departure_not_told", node=name, trouble=error.trouble)
        return not away


def told(fleet: Fleet, unreachable: dict[str, str], now_ms: int) -> Iterator[Departed]:
    """Yield what the nodes were told of; what is wrong with those that fail goes into `unreachable`."""
    for name in fleet.names(Kind.SEALED):
        node = fleet.node(Kind.SEALED, name)
        if node is None:
            continue
        try:
            for stat in node.list(PREFIX):
                gone = Departed.parse(stat.name, min(stat.modified_ms, now_ms))
                if gone is not None:
                    yield gone
        except NodeError as error:
            unreachable[name] = error.trouble


_KEY = ("record_key", "instance_key", "why")


def _of(row: sa.Row[Any]) -> Departed:
    return Departed(row.record_key, row.instance_key, Why(row.why), row.at_ms)
