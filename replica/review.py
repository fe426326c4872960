"""The review worker: finds objects that miss copies, and those whose copies lie where they do not belong."""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from replica.belonging import is_misplaced
from replica.context import Replicas
from replica.rows import Entry
from replica.rules import Labels
from replica.tables import replica_copy, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Kind
from storage_nodes.names import ObjectName

_object = replica_object.c
_copy = replica_copy.c


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a run looked at.

    Attributes:
        objects: how many.
        made_due: of these, how many the fill worker was told of: they miss copies.
        misplaced: of these, how many the move worker was told of: copies lie elsewhere than they belong, or
            were begun and are not wanted any more.
        next_id: where the next run goes on; 0: the end was reached, begin anew.
    """

    objects: int
    made_due: int
    misplaced: int
    next_id: int


def run_once(replicas: Replicas, after_id: int = 0, limit: int = 1000) -> Reviewed:
    """Look at the next `limit` live objects, and make those due that miss copies or have them elsewhere.

    Needed where nothing happened to the objects themselves: a rule was changed, a node was added, is drained
    or was taken out of the configuration, or does not answer for longer than the fleet's patience.
    """
    with replicas.engine.connect() as connection:
        replicas.look_at_nodes(connection)
        entries = list(_read(connection, after_id, limit))
    if not entries:
        return Reviewed(0, 0, 0, 0)
    short = [entry.object_id for entry in entries if _misses(replicas, entry)]
    misplaced = [
        entry.object_id for entry in entries if entry.object_id not in short and _is_untidy(replicas, entry)
    ]
    with replicas.engine.begin() as connection:
        for due, which in ((_object.fill_due_ms, short), (_object.move_due_ms, misplaced)):
            connection.execute(
                sa.update(replica_object)
                .where(_object.id.in_(which), due.is_(None), _object.superseded_ms.is_(None))
                .values({due: replicas.clock_ms()})
            )
    next_id = entries[-1].object_id if len(entries) == limit else 0
    return Reviewed(len(entries), len(short), len(misplaced), next_id)


def _read(connection: sa.Connection, after_id: int, limit: int) -> Iterator[Entry]:
    query = (
        sa.select(_object.id, _object.name, _object.kind, _object.facility, _object.modality)
        .where(_object.id > after_id, _object.committed_ms.is_not(None), _object.superseded_ms.is_(None))
        .order_by(_object.id)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    copies: dict[int, dict[str, CopyState]] = {row.id: {} for row in rows}
    held = sa.select(_copy.object_id, _copy.node, _copy.state).where(_copy.object_id.in_(list(copies)))
    for object_id, node, state in connection.execute(held):
        copies[object_id][node] = CopyState(state)
    for row in rows:
        labels = Labels(row.facility or "", row.modality or "")
        kind = Kind(row.kind)
        yield Entry(row.id, ObjectName(row.name), kind, 0, b"", True, 0, copies[row.id], labels)


def _is_untidy(replicas: Replicas, entry: Entry) -> bool:
    left_over = entry.nodes(CopyState.COPYING, CopyState.BAD, CopyState.LOST)
    return bool(left_over) or is_misplaced(replicas, entry, entry.nodes(CopyState.AVAILABLE))


def _misses(replicas: Replicas, entry: Entry) -> int:
    """Return how many copies are missing; those on nodes being drained count until they are moved."""
    fleet, rule = replicas.fleet, replicas.rules.of(entry.kind, entry.labels)
    counted = fleet.counted(entry.kind)
    good = [
        node
        for node in entry.nodes(CopyState.AVAILABLE)
        if node in counted or fleet.is_draining(entry.kind, node)
    ]
    return rule.missing(fleet.places(entry.kind, good))
