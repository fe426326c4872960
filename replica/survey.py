"""The survey: compares what a node lists with what the index believes lies there, without reading a byte."""

from dataclasses import dataclass

import sqlalchemy as sa

from replica.context import Replicas
from replica.tables import replica_copy, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Kind
from storage_nodes.errors import NodeError

_object = replica_object.c
_copy = replica_copy.c
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a node listed, and how many copies it should hold and does not; `answered`: it could be listed."""

    listed: int = 0
    missing: int = 0
    answered: bool = True


def survey(replicas: Replicas, kind: Kind, node_name: str) -> Surveyed:
    """Mark the copies that a node does not list as SUSPICIOUS: the check worker looks at each of them."""
    node = replicas.fleet.node(kind, node_name)
    if node is None:
        return Surveyed(answered=False)
    with replicas.engine.connect() as connection:  # before the listing: what is put meanwhile is not missed
        believed = connection.execute(
            sa.select(_object.id, _object.name)
            .join(replica_copy, _copy.object_id == _object.id)
            .where(_object.kind == kind, _copy.node == node_name, _copy.state == CopyState.AVAILABLE)
        ).all()
    try:
        with replicas.fleet.watched(kind, node_name):
            listed = {str(stat.name) for stat in node.list(f"{kind}/")}
    except NodeError:
        return Surveyed(answered=False)
    missing = [row.id for row in believed if row.name not in listed]
    for start in range(0, len(missing), _AT_ONCE):
        with replicas.engine.begin() as connection:
            connection.execute(
                sa.update(replica_copy)
                .where(
                    _copy.node == node_name,
                    _copy.object_id.in_(missing[start : start + _AT_ONCE]),
                    _copy.state == CopyState.AVAILABLE,
                )
                .values(
                    state=CopyState.SUSPICIOUS,
                    due_ms=replicas.clock_ms(),
                    last_error="the node does not list it",
                )
            )
    return Surveyed(len(listed), len(missing))
