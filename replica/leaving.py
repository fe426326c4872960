"""Taking a node out of service: what would miss it, what is still on it, what is forgotten of it."""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from replica.context import Replicas
from replica.rows import Entry, drop_copy, read_entry
from replica.tables import replica_copy, replica_node, replica_object
from replica.values import CopyState, NodeState

_object = replica_object.c
_copy = replica_copy.c
_AT_ONCE = 200
_LIVE = _object.committed_ms.is_not(None) & _object.superseded_ms.is_(None) & _object.removing_ms.is_(None)


@dataclass(frozen=True, slots=True)
class Missed:
    """What would miss a node.

    Attributes:
        below: live objects that would have fewer good copies than their rule asks for.
        lost: of these, those that would have none.
    """

    below: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """What is still on a node by the index.

    Attributes:
        copies: of live objects, and of those that are on their way in or out.
        size_bytes: of these.
        at_work: some of them are worked on or due now; otherwise they wait for their next attempt.
    """

    copies: int
    size_bytes: int
    at_work: bool


def missed(replicas: Replicas, node: str) -> Missed:
    """Count what would fall below its rule if the node were not there."""
    below = lost = 0
    for entry in _on(replicas, node):
        if not entry.live:
            continue
        fleet = replicas.fleet
        good = [each for each in entry.nodes(CopyState.AVAILABLE) if each != node]
        counted = fleet.counted(entry.kind)
        rule = replicas.rules.of(entry.kind, entry.labels)
        if rule.missing(fleet.places(entry.kind, [each for each in good if each in counted])):
            below += 1
            lost += not good
    return Missed(below, lost)


def left_on(replicas: Replicas, node: str) -> Left:
    """Count what is still there."""
    now_ms = replicas.clock_ms()
    due = sa.or_(
        _object.move_due_ms <= now_ms, _object.fill_due_ms <= now_ms, _object.lease_until_ms > now_ms
    )
    there = _object.id.in_(sa.select(_copy.object_id).where(_copy.node == node))
    with replicas.engine.connect() as connection:
        row = connection.execute(
            sa.select(
                sa.func.count().label("copies"),
                sa.func.coalesce(sa.func.sum(_object.size_bytes), 0).label("size_bytes"),
                sa.func.count().filter(due & _LIVE).label("due"),
            ).where(there)
        ).one()
    return Left(row.copies, int(row.size_bytes), row.due > 0)


def make_due(replicas: Replicas, node: str) -> None:
    """Tell the move worker of every object with a copy on the node."""
    there = _object.id.in_(sa.select(_copy.object_id).where(_copy.node == node))
    with replicas.engine.begin() as connection:
        connection.execute(
            sa.update(replica_object)
            .where(there, _LIVE, _object.move_due_ms.is_(None))
            .values(move_due_ms=replicas.clock_ms())
        )


def forget_removed(replicas: Replicas, limit: int = _AT_ONCE) -> int:
    """Drop the rows of copies on removed nodes, except where no other good copy is known; returns how many.

    The commit point of a removal is the node's state; a crash after it leaves rows that count for nothing,
    and this goes on with them. A copy that is the last one known keeps its row: should the node come back
    (`dgis node add`), nothing is lost.
    """
    with replicas.engine.connect() as connection:
        removed = list(
            connection.scalars(
                sa.select(replica_node.c.name).where(replica_node.c.state == NodeState.REMOVED.value)
            )
        )
        replicas.look_at_nodes(connection)
    dropped = 0
    for node in removed:
        for entry in _on(replicas, node):
            dropped += _forget(replicas, entry.object_id, node)
            if dropped >= limit:
                return dropped
    return dropped


def _forget(replicas: Replicas, object_id: int, node: str) -> bool:
    with replicas.engine.begin() as connection:
        connection.execute(sa.select(_object.id).where(_object.id == object_id).with_for_update())
        entry = read_entry(connection, object_id)
        if entry is None or node not in entry.copies:
            return False
        elsewhere = [each for each in entry.nodes(CopyState.AVAILABLE) if each != node]
        others = [each for each in elsewhere if replicas.fleet.standing.of(each) is not NodeState.REMOVED]
        if entry.live and not others:
            return False
        drop_copy(connection, object_id, node)
        if entry.live:
            connection.execute(
                sa.update(replica_object)
                .where(_object.id == object_id, _object.fill_due_ms.is_(None))
                .values(fill_due_ms=replicas.clock_ms())
            )
    return True


def _on(replicas: Replicas, node: str) -> Iterator[Entry]:
    """Yield every object with a copy on the node, by id."""
    last = 0
    while True:
        query = (
            sa.select(_copy.object_id)
            .where(_copy.node == node, _copy.object_id > last)
            .order_by(_copy.object_id)
            .limit(_AT_ONCE)
        )
        with replicas.engine.connect() as connection:
            replicas.look_at_nodes(connection)
            ids = list(connection.scalars(query))
            entries = [read_entry(connection, object_id) for object_id in ids]
        if not ids:
            return
        last = ids[-1]
        yield from (entry for entry in entries if entry is not None)
