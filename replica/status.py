from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from replica.dark import count_dark, too_many
from replica.standing import read_standing
from replica.tables import replica_copy, replica_object
from replica.values import CopyState, NodeState
from storage_nodes.addresses import Kind

_object = replica_object.c
_copy = replica_copy.c


@dataclass(frozen=True, slots=True)
class KindStatus:
    """The objects of one kind.

    Attributes:
        objects: live ones.
        size_bytes: of these, each counted once.
        under_rule: live ones that miss copies or wait to be looked at.
        to_move: live ones with a copy that belongs elsewhere.
        without_copy: live ones with no copy that is known to be good: unreadable until one turns up.
        oldest_check_ms: when the good copy that was verified longest ago was; None: there is none.
    """

    objects: int = 0
    size_bytes: int = 0
    under_rule: int = 0
    to_move: int = 0
    without_copy: int = 0
    oldest_check_ms: int | None = None


@dataclass(frozen=True, slots=True)
class GridStatus:
    """What `dgis status` and `dgis node list` tell of the copies.

    Attributes:
        kinds: per kind of object.
        nodes: node -> state -> copies.
        decided: node -> what was decided about it.
        dark: node -> objects that lie there and are not in the index.
        crowded: nodes where these are too many to be left-overs.
        intended: objects that were begun and are not committed.
        removing: objects that are superseded or on their way out.
    """

    kinds: Mapping[Kind, KindStatus]
    nodes: Mapping[str, Mapping[CopyState, int]]
    intended: int
    removing: int
    decided: Mapping[str, NodeState] = field(default_factory=dict)
    dark: Mapping[str, int] = field(default_factory=dict)
    crowded: frozenset[str] = frozenset()

    def copies(self, state: CopyState) -> int:
        """Return how many copies are in a state, on all nodes."""
        return sum(states.get(state, 0) for states in self.nodes.values())

    def words(self) -> tuple[str, ...]:
        """Say it in lines for a reader; the first that begins with "trouble" is what an operator looks at."""
        lines = []
        for kind, status in self.kinds.items():
            what = "records" if kind is Kind.RECORD else "sealed companions"
            state = (
                "all with their copies" if not status.under_rule else f"{status.under_rule} wait for copies"
            )
            moving = f", {status.to_move} with copies to be moved" if status.to_move else ""
            lines.append(f"{status.objects} {what}, {state}{moving}")
            if status.without_copy:
                lines.append(f"trouble: {status.without_copy} {what} without a good copy on any node")
        if self.intended:
            lines.append(f"{self.intended} objects begun and not yet committed")
        if self.removing:
            lines.append(f"{self.removing} objects to be removed")
        lines += [
            f"trouble: {number} {state} copies on {node}"
            for node, states in self.nodes.items()
            for state, number in states.items()
            if state in {CopyState.SUSPICIOUS, CopyState.BAD, CopyState.LOST}
        ]
        return (*lines, *self._decisions(), *self._darkness())

    def _darkness(self) -> Iterator[str]:
        for node, number in self.dark.items():
            if node in self.crowded:
                yield (
                    f"trouble: {number} objects on {node} that the index does not know; "
                    "if the database is an old one, rebuild it; nothing is removed"
                )
            else:
                yield f"{number} objects on {node} that the index does not know, in quarantine"

    def _decisions(self) -> Iterator[str]:
        for node, state in self.decided.items():
            left = sum(self.nodes.get(node, {}).values())
            if state is NodeState.DRAINING:
                yield f"{node} is being drained, {left} copies left on it" if left else f"{node} is drained"
            elif state is NodeState.REMOVED and left:
                yield f"trouble: {node} is removed, {left} copies known on it alone"
            elif state is NodeState.READ_ONLY:
                yield f"{node} is read only"


def status(connection: sa.Connection) -> GridStatus:
    """Count objects and copies; goes through the index, so it is for people and not for every second."""
    live = _object.committed_ms.is_not(None) & _object.superseded_ms.is_(None)
    return GridStatus(
        kinds={kind: _of_kind(connection, kind, live) for kind in Kind},
        nodes=_of_nodes(connection),
        intended=_count(connection, _object.committed_ms.is_(None) & _object.removing_ms.is_(None)),
        removing=_count(connection, _object.superseded_ms.is_not(None) | _object.removing_ms.is_not(None)),
        decided=read_standing(connection).states,
        dark=count_dark(connection),
        crowded=too_many(connection),
    )


def _of_kind(connection: sa.Connection, kind: Kind, live: sa.ColumnElement[bool]) -> KindStatus:
    readable = sa.exists().where(_copy.object_id == _object.id, _copy.state == CopyState.AVAILABLE)
    row = connection.execute(
        sa.select(
            sa.func.count().label("objects"),
            sa.func.coalesce(sa.func.sum(_object.size_bytes), 0).label("size_bytes"),
            sa.func.count(_object.fill_due_ms).label("under_rule"),
            sa.func.count(_object.move_due_ms).label("to_move"),
            sa.func.count().filter(~readable).label("without_copy"),
        )
        .select_from(replica_object)
        .where(live, _object.kind == kind)
    ).one()
    oldest = connection.scalar(
        sa.select(sa.func.min(_copy.verified_ms))
        .join(replica_object, _object.id == _copy.object_id)
        .where(live, _object.kind == kind, _copy.state == CopyState.AVAILABLE)
    )
    return KindStatus(row.objects, int(row.size_bytes), row.under_rule, row.to_move, row.without_copy, oldest)


def _of_nodes(connection: sa.Connection) -> dict[str, dict[CopyState, int]]:
    nodes: dict[str, dict[CopyState, int]] = {}
    rows = connection.execute(
        sa.select(_copy.node, _copy.state, sa.func.count())
        .group_by(_copy.node, _copy.state)
        .order_by(_copy.node, _copy.state)
    )
    for node, state, number in rows:
        nodes.setdefault(node, {})[CopyState(state)] = number
    return nodes


def _count(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(replica_object).where(condition)) or 0
