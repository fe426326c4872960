"""Dark objects: on a node, and not in the index. Quarantined by the survey; adopted here, or removed.

How they come about: a put that ended after its intent was cleaned away, a node that was away or was removed
while the index went on. What the index knows by name is adopted at once. What it does not know is removed
after a grace time, through a row of its own: it is being removed from that row's commit on, so nobody can put
an object of that name and have it deleted; the clean worker does the rest.

Many unknown objects are no left-overs but an index that lost its memory (a database from a backup): those are
kept until somebody decides.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
import structlog

from replica.context import Replicas
from replica.intent import add_copies
from replica.rows import set_state
from replica.tables import replica_copy, replica_dark, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Address
from storage_nodes.names import ObjectName

_log = structlog.get_logger(__name__)
_object = replica_object.c
_dark = replica_dark.c

GRACE_MS: Final = 14 * 24 * 3_600_000
FEW: Final = 100
"""So many unknown objects on a node may be left-overs, or one in a hundred of its copies; more are not."""
_ONE_IN: Final = 100


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of dark objects.

    Attributes:
        adopted: known by name: their copies are looked at like any other.
        doomed: to be removed.
        kept: unknown, past the grace time, and too many on one node to be left-overs.
    """

    adopted: int = 0
    doomed: int = 0
    kept: int = 0


def count_dark(connection: sa.Connection) -> Mapping[str, int]:
    """Return node -> dark objects."""
    rows = connection.execute(sa.select(_dark.node, sa.func.count()).group_by(_dark.node))
    return {row[0]: row[1] for row in rows}


def too_many(connection: sa.Connection) -> frozenset[str]:
    """Return the nodes with more unknown objects than can be left-overs."""
    copy = replica_copy.c
    rows = connection.execute(
        sa.select(_dark.node, sa.func.count().label("unknown"))
        .where(~sa.exists().where(_object.name == _dark.name))
        .group_by(_dark.node)
        .having(sa.func.count() > FEW)
    ).all()
    found = set()
    for node, unknown in rows:
        copies = connection.scalar(sa.select(sa.func.count()).where(copy.node == node)) or 0
        if unknown * _ONE_IN > copies:
            found.add(node)
    return frozenset(found)


def run_once(replicas: Replicas, grace_ms: int = GRACE_MS, limit: int = 100) -> Settled:
    """Decide on dark objects: at most `limit` known ones, and `limit` past the grace time."""
    with replicas.engine.connect() as connection:
        crowded = too_many(connection)
        known = sa.exists().where(_object.name == _dark.name)
        oldest = sa.select(_dark.node, _dark.name, _dark.size_bytes).order_by(_dark.since_ms).limit(limit)
        adoptable = connection.execute(oldest.where(known)).all()
        past = oldest.where(~known, _dark.since_ms < replicas.clock_ms() - grace_ms)
        unknown = connection.execute(past).all()
    adopted = sum(_adopt(replicas, row.node, row.name) for row in adoptable)
    doomed = sum(_doom(replicas, row) for row in unknown if row.node not in crowded)
    return Settled(adopted, doomed, sum(row.node in crowded for row in unknown))


def _adopt(replicas: Replicas, node: str, name: str) -> bool:
    """Give the object a row as if it were on its way; whoever works on it next looks at what lies there."""
    with replicas.engine.begin() as connection:
        row = connection.execute(
            sa.select(replica_object).where(_object.name == name).with_for_update()
        ).one_or_none()
        if row is None:
            return False
        add_copies(connection, row.id, [node])
        if row.superseded_ms is not None:
            set_state(connection, row.id, node, CopyState.OBSOLETE)
        elif row.committed_ms is not None:
            connection.execute(
                sa.update(replica_object)
                .where(_object.id == row.id, _object.fill_due_ms.is_(None))
                .values(fill_due_ms=replicas.clock_ms())
            )
        _let_out(connection, node, name)
    _log.info("dark_object_adopted", node=node, object_id=row.id)
    return True


def _doom(replicas: Replicas, dark: sa.Row[str, str, int]) -> bool:
    address = Address.parse(ObjectName(dark.name))
    if address is None:
        return False
    now_ms = replicas.clock_ms()
    try:
        with replicas.engine.begin() as connection:
            inserted = connection.execute(
                sa.insert(replica_object)
                .values(
                    name=dark.name,
                    record_key=address.key,
                    kind=address.kind,
                    size_bytes=dark.size_bytes,
                    sha256=address.sha256,
                    intent=uuid.uuid4().hex,
                    intended_ms=now_ms,
                    removing_ms=now_ms,
                    facility="",
                )
                .returning(_object.id)
            ).scalar_one()
            add_copies(connection, inserted, [dark.node])
            _let_out(connection, dark.node, dark.name)
    except sa.exc.IntegrityError:  # somebody put an object of this name meanwhile: it is known now
        return False
    _log.warning("dark_object_removed", node=dark.node, kind=address.kind.value)
    return True


def _let_out(connection: sa.Connection, node: str, name: str) -> None:
    connection.execute(sa.delete(replica_dark).where(_dark.node == node, _dark.name == name))
