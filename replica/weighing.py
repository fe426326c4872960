"""How many bytes the copies on each node come to, kept with the node: placement looks at it."""

from collections.abc import Mapping

import sqlalchemy as sa

from replica.tables import replica_copy, replica_node, replica_object
from replica.values import CopyState

_copy = replica_copy.c


def weights(connection: sa.Connection) -> Mapping[str, int]:
    """Return node -> bytes; goes through the whole index, so it is not for every second."""
    lies_there = _copy.state != CopyState.LOST
    rows = connection.execute(
        sa.select(_copy.node, sa.func.sum(replica_object.c.size_bytes))
        .join(replica_object, replica_object.c.id == _copy.object_id)
        .where(lies_there)
        .group_by(_copy.node)
    )
    return {node: int(size) for node, size in rows}


def weigh(engine: sa.Engine) -> None:
    """Write the bytes down."""
    with engine.connect() as connection:
        found = weights(connection)
    node = replica_node.c
    with engine.begin() as connection:
        for name in connection.scalars(sa.select(node.name)).all():
            connection.execute(
                sa.update(replica_node).where(node.name == name).values(used_bytes=found.get(name, 0))
            )
