"""The few counts that are cheap however many copies there are: for metrics, asked every few seconds."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from replica.tables import in_state, replica_copy, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Kind

_object = replica_object.c
_copy = replica_copy.c


@dataclass(frozen=True, slots=True)
class Shortfalls:
    """What is not as it should be; each is read from an index that holds the exceptions only.

    Attributes:
        short: live objects that miss copies or wait to be looked at, by kind.
        unreadable: of these, and of those with doubtful copies, the ones without a copy known to be good.
        unsettled: (node, state) -> copies that are not available.
        oldest_check_ms: when the good copy that was verified longest ago was; None: there is none.
    """

    short: Mapping[Kind, int]
    unreadable: Mapping[Kind, int]
    unsettled: Mapping[tuple[str, CopyState], int]
    oldest_check_ms: int | None


def shortfalls(connection: sa.Connection) -> Shortfalls:
    """Count what is not as it should be."""
    return Shortfalls(
        short=_by_kind(connection, _object.fill_due_ms.is_not(None)),
        unreadable=_by_kind(connection, _object.id.in_(_doubtful()) & ~_has_good_copy()),
        unsettled=_unsettled(connection),
        oldest_check_ms=connection.scalar(
            sa.select(sa.func.min(_copy.verified_ms)).where(in_state(CopyState.AVAILABLE))
        ),
    )


def available(connection: sa.Connection) -> dict[str, int]:
    """Count the good copies by node; goes through an index of all copies, so not for every few seconds."""
    rows = connection.execute(
        sa.select(_copy.node, sa.func.count())
        .where(in_state(CopyState.AVAILABLE))
        .group_by(_copy.node)
        .order_by(_copy.node)
    )
    return dict(tuple(row) for row in rows)


def _doubtful() -> sa.CompoundSelect[int]:
    due = sa.select(_object.id).where(_object.fill_due_ms.is_not(None))
    doubted = sa.select(_copy.object_id).where(sa.or_(*map(in_state, _DOUBTED)))
    return sa.union(due, doubted)


def _has_good_copy() -> sa.ColumnElement[bool]:
    return sa.exists().where(_copy.object_id == _object.id, _copy.state == CopyState.AVAILABLE)


def _by_kind(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> dict[Kind, int]:
    live = _object.committed_ms.is_not(None) & _object.superseded_ms.is_(None)
    rows = connection.execute(
        sa.select(_object.kind, sa.func.count())
        .where(live, _object.removing_ms.is_(None), condition)
        .group_by(_object.kind)
    )
    return dict.fromkeys(Kind, 0) | {Kind(kind): number for kind, number in rows}


def _unsettled(connection: sa.Connection) -> dict[tuple[str, CopyState], int]:
    others = [state for state in CopyState if state is not CopyState.AVAILABLE]
    rows = connection.execute(
        sa.select(_copy.node, _copy.state, sa.func.count())
        .where(sa.or_(*map(in_state, others)))
        .group_by(_copy.node, _copy.state)
    )
    return {(node, CopyState(state)): number for node, state, number in rows}


_DOUBTED = (CopyState.SUSPICIOUS, CopyState.BAD, CopyState.LOST)
