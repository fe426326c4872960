"""What callers hold by grants, remembered for as long as no grant and no contributor changes.

Looking it up costs more than a query by a key that says much: a thousand grants are read to know which few
patterns they bear. Triggers of the database draw a new number for every change, whoever makes it, in its own
transaction (`catalog.tables.grant_epoch`); a number never comes twice, so what was looked up under the number
that stands is what stands.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, Connection, Select, bindparam, func, select, union_all
from sqlalchemy.pool import Pool

from catalog.callers import Assertions
from catalog.sql import OneOf, Statements
from catalog.tables import grants

Row = tuple[Any, ...]

_MOST_CALLERS = 1024
_NEVER_MS = 1 << 62
_STATEMENTS = Statements(4)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Rows as they were looked up; good from then until the next grant begins or ends.

    Equal only to itself, so that what follows from it is found again without comparing a thousand rows.
    """

    epoch: int
    from_ms: int
    until_ms: int
    rows: tuple[Row, ...]


class _Memory:
    """By database and by assertions; whoever has not asked for longest goes first. Thread-safe."""

    def __init__(self) -> None:
        self._held: WeakKeyDictionary[Pool, OrderedDict[Assertions, Held]] = WeakKeyDictionary()
        self._lock = Lock()

    def get(self, pool: Pool, assertions: Assertions) -> Held | None:
        with self._lock:
            known = self._held.get(pool)
            return known.get(assertions) if known else None

    def put(self, pool: Pool, assertions: Assertions, held: Held) -> None:
        with self._lock:
            known = self._held.setdefault(pool, OrderedDict())
            known[assertions] = held
            known.move_to_end(assertions)
            if len(known) > _MOST_CALLERS:
                known.popitem(last=False)


_MEMORY = _Memory()


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose grants, and when: assertions, the JSON list of the patterns they satisfy, epoch milliseconds."""

    assertions: Assertions
    patterns: str
    now_ms: int


def remembered(connection: Connection, asked: Asked) -> Held | None:
    """Return what is remembered; it holds where its epoch is the one that stands."""
    known = _MEMORY.get(connection.engine.pool, asked.assertions)
    return known if known is not None and known.from_ms <= asked.now_ms < known.until_ms else None


def held(connection: Connection, asked: Asked, epoch: int | None, look: Callable[[], Iterable[Row]]) -> Held:
    """Return what `look` finds that these assertions hold, without looking where it is known.

    `epoch` was read in this transaction, and before: a change in between makes rows newer than it says.
    """
    known = remembered(connection, asked)
    if known is not None and known.epoch == epoch:
        return known
    rows = tuple(look())
    if epoch is None:
        return Held(0, asked.now_ms, asked.now_ms, rows)
    found = Held(epoch, asked.now_ms, _next_change_ms(connection, asked.patterns, asked.now_ms), rows)
    _MEMORY.put(connection.engine.pool, asked.assertions, found)
    return found


def _next_change_ms(connection: Connection, patterns: str, now_ms: int) -> int:
    """When the next of the grants that such a caller satisfies begins or ends, by time alone."""
    prepared = _STATEMENTS.get(connection, "next", _next)
    times = prepared.rows(connection, {"patterns": patterns, "now": now_ms})
    return min((time for (time,) in times if time is not None), default=_NEVER_MS)


def _next() -> Select[Any]:
    now: BindParameter[int] = bindparam("now")
    satisfied = OneOf(grants.c.who_key, bindparam("patterns"))
    ends = (
        select(func.min(column).label("time")).where(satisfied, column > now)
        for column in (grants.c.not_before_ms, grants.c.not_after_ms)
    )
    both = union_all(*ends).subquery()
    return select(both.c.time)
