"""The fill worker: brings every object to the copies its rule asks for, node to node, verified."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa
import structlog

from replica.belonging import belongs_on, surplus
from replica.context import Replicas
from replica.copying import CopyJob
from replica.leases import NOW, Claim, pause_ms, release
from replica.placement import Rule
from replica.rows import Entry, drop_copy, read_entry, set_state
from replica.tables import replica_object
from replica.values import CopyState
from storage_nodes.node import Node

_log = structlog.get_logger(__name__)
_object = replica_object.c
_PAGE: Final = 500
_WAIT_SECONDS: Final = 0.2

_DUE = Claim(sa.select(_object.id).where(_object.fill_due_ms <= NOW).order_by(_object.fill_due_ms))
_THIS = Claim(
    sa.select(_object.id).where(_object.id == sa.bindparam("this"), _object.fill_due_ms.is_not(None))
)


@dataclass(frozen=True, slots=True)
class Filled:
    """What a run did.

    Attributes:
        copied: copies made.
        found: copies that lay on their node already, with the right bytes.
        failed: copies that could not be made; they are tried again later.
        complete: objects that have all their copies now.
        incomplete: objects that still have not.
    """

    copied: int = 0
    found: int = 0
    failed: int = 0
    complete: int = 0
    incomplete: int = 0


def run_once(replicas: Replicas, limit: int = 10) -> Filled:
    """Work on at most `limit` objects that are due; several workers may run at once."""
    done = Filled()
    for _ in range(limit):
        object_id = _DUE.take(replicas)
        if object_id is None:
            break
        done = _work_on(replicas, object_id, done)
    return done


def run_to_the_end(replicas: Replicas, sleep: Callable[[float], None] = time.sleep) -> Iterator[Filled]:
    """Try every object that misses copies once, whenever it was to be tried again; yields the sums so far.

    For an operator who asks for the copies now. What another worker is at is waited for, and tried here
    where that one gave up: it may not know yet that a node is back.
    """
    done = Filled()
    busy: set[int] = set()
    last = 0
    while page := _missing_copies(replicas, _object.id > last):
        last = page[-1]
        for object_id in page:
            done = _try(replicas, object_id, done, busy)
            yield done
    while busy:
        sleep(_WAIT_SECONDS)
        some = sorted(busy)[:_PAGE]
        busy.difference_update(some)
        for object_id in _missing_copies(replicas, _object.id.in_(some)):
            done = _try(replicas, object_id, done, busy)
        yield done


def _missing_copies(replicas: Replicas, which: sa.ColumnElement[bool]) -> list[int]:
    query = sa.select(_object.id).where(_object.fill_due_ms.is_not(None), which)
    with replicas.engine.begin() as connection:
        return list(connection.scalars(query.order_by(_object.id).limit(_PAGE)))


def _try(replicas: Replicas, object_id: int, done: Filled, busy: set[int]) -> Filled:
    """Work on one object, or note it among those that others are at."""
    if _THIS.take(replicas, this=object_id) is None:
        busy.add(object_id)
        return done
    return _work_on(replicas, object_id, done)


def _work_on(replicas: Replicas, object_id: int, done: Filled) -> Filled:
    """Bring a claimed object to its copies, and give it back."""
    with replicas.engine.begin() as connection:
        replicas.look_at_nodes(connection)
        entry = read_entry(connection, object_id)
    if entry is None:
        return done
    if entry.live:
        return _fill(replicas, entry, done)
    with replicas.engine.begin() as connection:
        release(connection, replicas, object_id, fill_due_ms=None)
    return done


def _fill(replicas: Replicas, entry: Entry, done: Filled) -> Filled:
    rule, fleet = replicas.rules.of(entry.kind, entry.labels), replicas.fleet
    counted = fleet.counted(entry.kind)
    available = entry.nodes(CopyState.AVAILABLE)
    good = [node for node in available if node in counted]
    # A suspicious copy is the check worker's until that has made up its mind.
    tried = {*available, *entry.nodes(CopyState.SUSPICIOUS)}
    job = CopyJob(replicas, entry)
    while rule.missing(fleet.places(entry.kind, good)):
        target = _next_target(replicas, entry, rule, good, tried)
        if target is None:
            break
        tried.add(target.name)
        outcome = job.bring_to(target, [*available, *(node for node in good if node not in available)])
        if outcome is None:
            done = replace(done, failed=done.failed + 1)
            continue
        good.append(target.name)
        done = replace(done, copied=done.copied + outcome, found=done.found + (not outcome))
    if rule.missing(fleet.places(entry.kind, good)):
        _try_again_later(replicas, entry)
        return replace(done, incomplete=done.incomplete + 1)
    _tidy(replicas, entry, good)
    return replace(done, complete=done.complete + 1)


def _next_target(
    replicas: Replicas, entry: Entry, rule: Rule, good: Sequence[str], tried: Collection[str]
) -> Node | None:
    """Return where to bring the next copy, if one more helps; first where one may lie already."""
    fleet, begun = replicas.fleet, entry.nodes(CopyState.COPYING)

    def short_with(node: Node) -> int:
        return rule.shortfall(fleet.places(entry.kind, [*good, node.name]))

    targets = fleet.targets(entry.kind, entry.name, rule, without=tried, held=good)
    useful = [node for node in targets if short_with(node) < rule.shortfall(fleet.places(entry.kind, good))]
    if not useful:
        return None
    return next(
        (node for node in useful if node.name in begun and short_with(node) <= short_with(useful[0])),
        useful[0],
    )


def _try_again_later(replicas: Replicas, entry: Entry) -> None:
    due_ms = replicas.clock_ms() + pause_ms(entry.attempts)
    _log.info("copies_still_missing", object_id=entry.object_id, kind=entry.kind.value)
    with replicas.engine.begin() as connection:
        release(connection, replicas, entry.object_id, fill_due_ms=due_ms, attempts=_object.attempts + 1)


def _tidy(replicas: Replicas, entry: Entry, good: list[str]) -> None:
    """Write that the object is complete; what lies where it does not belong and is no good copy may go."""
    belongs = belongs_on(replicas, entry, good)
    keep = {*good, *belongs}
    due: dict[str, object] = {"fill_due_ms": None, "attempts": 0}
    if set(belongs) - set(good) or surplus(replicas, entry, good, belongs):
        due["move_due_ms"] = replicas.clock_ms()
    with replicas.engine.begin() as connection:
        if not release(connection, replicas, entry.object_id, **due):
            return
        for node in entry.nodes(CopyState.COPYING, CopyState.BAD):
            if node not in keep:
                set_state(connection, entry.object_id, node, CopyState.OBSOLETE, due_ms=0)
        for node in entry.nodes(CopyState.LOST):
            if node not in keep:
                drop_copy(connection, entry.object_id, node)
