"""What was decided about the nodes, and how full they are: rows that every step reads before it chooses."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from replica.tables import replica_node
from replica.values import NodeState

_node = replica_node.c


@dataclass(frozen=True, slots=True)
class Standing:
    """The nodes by name.

    Attributes:
        states: what was decided about each.
        used_bytes: what the copies on each come to, as last weighed (`replica.weighing`).
    """

    states: Mapping[str, NodeState] = field(default_factory=dict)
    used_bytes: Mapping[str, int] = field(default_factory=dict)

    def of(self, node: str) -> NodeState:
        """Return what was decided about a node; before the first decision ever all configured ones serve."""
        return self.states.get(node, NodeState.NEW if self.states else NodeState.ACTIVE)


def read_standing(connection: sa.Connection) -> Standing:
    """Return the nodes' states as they are now."""
    rows = connection.execute(sa.select(_node.name, _node.state, _node.used_bytes)).all()
    return Standing(
        {row.name: NodeState(row.state) for row in rows}, {row.name: row.used_bytes for row in rows}
    )


def admit_first(connection: sa.Connection, serving: Collection[str], now_ms: int) -> None:
    """Take in the nodes that are in use, if none ever was: those of the first start need no command."""
    if connection.scalar(sa.select(sa.func.count()).select_from(replica_node)):
        return
    for name in sorted(serving):
        _write(connection, name, NodeState.ACTIVE, now_ms)


def decide(
    connection: sa.Connection, serving: Collection[str], node: str, state: NodeState, now_ms: int
) -> None:
    """Write down what is decided about a node: the commit point is that of the caller's transaction.

    Args:
        connection: in the caller's transaction.
        serving: the nodes that are in use, should this be the first decision ever.
        node: which.
        state: what.
        now_ms: epoch milliseconds.
    """
    admit_first(connection, [name for name in serving if name != node], now_ms)
    _write(connection, node, state, now_ms)


def _write(connection: sa.Connection, node: str, state: NodeState, now_ms: int) -> None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"state": state.value, "since_ms": now_ms}
    connection.execute(
        insert(replica_node)
        .values(name=node, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values, where=_node.state != state.value)
    )
