"""The review worker: finds objects that have fewer good copies than their rule asks for."""

from dataclasses import dataclass

import sqlalchemy as sa

from replica.context import Replicas
from replica.tables import replica_copy, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Kind

_object = replica_object.c
_copy = replica_copy.c


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a run looked at.

    Attributes:
        objects: how many.
        made_due: of these, how many the fill worker was told of.
        next_id: where the next run goes on; 0: the end was reached, begin anew.
    """

    objects: int
    made_due: int
    next_id: int


def run_once(replicas: Replicas, after_id: int = 0, limit: int = 1000) -> Reviewed:
    """Look at the next `limit` live objects, and make those due that miss copies.

    Needed where nothing happened to the objects themselves: the rule was changed, a node was taken out of the
    configuration, or does not answer for longer than the fleet's patience.
    """
    with replicas.engine.begin() as connection:
        rows = connection.execute(_next(after_id, limit)).all()
        if not rows:
            return Reviewed(0, 0, 0)
        copies = connection.execute(
            sa.select(_copy.object_id, _copy.node).where(
                _copy.object_id.in_([row.id for row in rows]), _copy.state == CopyState.AVAILABLE
            )
        )
        held: dict[int, list[str]] = {}
        for object_id, node in copies:
            held.setdefault(object_id, []).append(node)
        short = [row.id for row in rows if _misses(replicas, Kind(row.kind), held.get(row.id, []))]
        connection.execute(
            sa.update(replica_object)
            .where(_object.id.in_(short), _object.fill_due_ms.is_(None))
            .values(fill_due_ms=replicas.clock_ms())
        )
    return Reviewed(len(rows), len(short), rows[-1].id if len(rows) == limit else 0)


def _next(after_id: int, limit: int) -> sa.Select[int, str]:
    return (
        sa.select(_object.id, _object.kind)
        .where(_object.id > after_id, _object.committed_ms.is_not(None), _object.superseded_ms.is_(None))
        .order_by(_object.id)
        .limit(limit)
    )


def _misses(replicas: Replicas, kind: Kind, nodes: list[str]) -> int:
    counted = replicas.fleet.counted(kind)
    sites = (replicas.fleet.site_of(kind, node) for node in nodes if node in counted)
    return replicas.rules[kind].missing([site for site in sites if site is not None])
