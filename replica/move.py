"""The move worker: brings copies from where they lie to where they belong, and lets go of the others.

Needed after a node was added or is being drained, after a rule was changed, or when a node is back that was
replaced meanwhile. It is never urgent: an object that misses copies is the fill worker's.

The commit point is the transaction that makes the surplus copies OBSOLETE: by then every copy that belongs
was read back whole. A crash before it leaves copies too many and `move_due_ms` set; after it the clean worker
removes the surplus, looking once more whether it may.
"""

from dataclasses import dataclass, replace

import sqlalchemy as sa
import structlog

from replica.belonging import belongs_on, surplus
from replica.context import Replicas
from replica.copying import CopyJob
from replica.leases import NOW, Claim, pause_ms, release
from replica.rows import Entry, drop_copy, read_entry, set_state
from replica.tables import replica_object
from replica.values import CopyState

_log = structlog.get_logger(__name__)
_object = replica_object.c
_LEFT_OVER = (CopyState.COPYING, CopyState.BAD, CopyState.AVAILABLE)
# What misses copies is filled first, and looked at again after that.
_DUE = Claim(
    sa.select(_object.id)
    .where(_object.move_due_ms <= NOW, _object.fill_due_ms.is_(None))
    .order_by(_object.move_due_ms)
)


@dataclass(frozen=True, slots=True)
class Moved:
    """What a run did.

    Attributes:
        copied: copies made where they belong.
        copied_bytes: of these.
        settled: objects whose copies lie where they belong now.
        waiting: objects that wait for a node; they are tried again later.
    """

    copied: int = 0
    copied_bytes: int = 0
    settled: int = 0
    waiting: int = 0


def run_once(replicas: Replicas, limit: int = 10) -> Moved:
    """Work on at most `limit` objects that are due; several workers may run at once."""
    done = Moved()
    for _ in range(limit):
        object_id = _DUE.take(replicas)
        if object_id is None:
            break
        done = _work_on(replicas, object_id, done)
    return done


def _work_on(replicas: Replicas, object_id: int, done: Moved) -> Moved:
    with replicas.engine.begin() as connection:
        replicas.look_at_nodes(connection)
        entry = read_entry(connection, object_id)
    if entry is not None and entry.live:
        return _move(replicas, entry, done)
    with replicas.engine.begin() as connection:
        release(connection, replicas, object_id, move_due_ms=None)
    return done


def _move(replicas: Replicas, entry: Entry, done: Moved) -> Moved:
    held = list(entry.nodes(CopyState.AVAILABLE))
    belongs = belongs_on(replicas, entry, held)
    job = CopyJob(replicas, entry)
    for name in belongs:
        node = replicas.fleet.node(entry.kind, name)
        if name in held or node is None or not replicas.fleet.health.takes_objects(entry.kind, name):
            continue
        outcome = job.bring_to(node, held)
        if outcome is not None:
            held.append(name)
        if outcome:
            done = replace(done, copied=done.copied + 1, copied_bytes=done.copied_bytes + entry.size_bytes)
    if _settle(replicas, entry, belongs):
        return replace(done, settled=done.settled + 1)
    return replace(done, waiting=done.waiting + 1)


def _settle(replicas: Replicas, entry: Entry, belongs: tuple[str, ...]) -> bool:
    """Let go of what is not wanted, if all that belongs is there and is what the rule asks for."""
    fleet, rule = replicas.fleet, replicas.rules.of(entry.kind, entry.labels)
    with replicas.engine.begin() as connection:
        later_ms = replicas.clock_ms() + pause_ms(entry.attempts)
        # First the object's row, so that its copies stay as they are until the end of the transaction.
        if not release(
            connection, replicas, entry.object_id, move_due_ms=later_ms, attempts=_object.attempts + 1
        ):
            return False
        now = read_entry(connection, entry.object_id)
        if now is None or not now.live:
            return False
        good = now.nodes(CopyState.AVAILABLE)
        if not set(belongs) <= set(good) or rule.missing(fleet.places(entry.kind, belongs)):
            return False
        left_over = surplus(replicas, entry, now.nodes(*_LEFT_OVER), belongs)
        for node in left_over:
            set_state(connection, entry.object_id, node, CopyState.OBSOLETE, due_ms=0)
        for node in surplus(replicas, entry, now.nodes(CopyState.LOST), belongs):
            drop_copy(connection, entry.object_id, node)
        connection.execute(
            sa.update(replica_object)
            .where(_object.id == entry.object_id)
            .values(move_due_ms=None, attempts=0)
        )
    if left_over:
        _log.info("copies_not_wanted", object_id=entry.object_id, nodes=left_over)
    return True
