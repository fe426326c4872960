"""The clean worker: removes what is not wanted any more, from the nodes first, then from the index."""

from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa
import structlog

from replica.context import Replicas
from replica.fleet import Fleet
from replica.leases import NOW, Claim, pause_ms, release, still_mine
from replica.rows import Entry, drop_copy, note_failure, read_entry, set_state
from replica.tables import in_state, replica_copy, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Kind
from storage_nodes.errors import NodeError, ObjectLocked

_log = structlog.get_logger(__name__)
_object = replica_object.c
_copy = replica_copy.c

INTENT_GRACE_MS: Final = 24 * 3_600_000
"""Longer than any attempt to put an object takes, with its pauses."""
SUPERSEDED_GRACE_MS: Final = 3_600_000
"""Longer than a reader that located an object goes on reading it."""
HOLD_PAUSE_MS: Final = 24 * 3_600_000
"""How often a delete is tried that a legal hold refuses: nobody says when that is lifted."""

_WAITS = sa.exists().where(_copy.object_id == _object.id, _copy.due_ms > NOW)
_DOOMED = Claim(
    sa.select(_object.id)
    .where(_object.removing_ms.is_not(None), ~_WAITS)
    .order_by(_object.removing_ms, _object.id)
)
_SURPLUS = Claim(
    sa.select(_object.id)
    .join(replica_copy, _copy.object_id == _object.id)
    .where(
        in_state(CopyState.OBSOLETE),
        _copy.due_ms <= NOW,
        _object.committed_ms.is_not(None),
        _object.superseded_ms.is_(None),
        _object.removing_ms.is_(None),
    )
    .order_by(_copy.due_ms, _object.id)
)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a run removed: whole objects from the index, copies from nodes; and copies that could not be."""

    objects: int = 0
    copies: int = 0
    failed: int = 0


def run_once(
    replicas: Replicas,
    limit: int = 10,
    intent_grace_ms: int = INTENT_GRACE_MS,
    superseded_grace_ms: int = SUPERSEDED_GRACE_MS,
) -> Cleaned:
    """Remove at most `limit` objects or surplus copies; several workers may run at once.

    First `removing_ms` is set, by one statement that looks again whether the object is still an old intent or
    superseded: from its commit on nobody can commit the object or put it anew (`replica.intent`). Then
    copies are deleted from nodes, each with its row, and the object's row goes last: a crash in between
    leaves rows that say what is still to be removed.
    """
    _doom(replicas, limit, intent_grace_ms, superseded_grace_ms)
    done = Cleaned()
    for _ in range(limit):
        object_id = _claim_next(replicas)
        if object_id is None:
            break
        with replicas.engine.begin() as connection:
            replicas.look_at_nodes(connection)
            entry = read_entry(connection, object_id)
        if entry is not None:
            done = _remove_surplus(replicas, entry, done) if entry.live else _remove(replicas, entry, done)
    return done


def clean_leftovers(fleet: Fleet, older_than_seconds: float = 24 * 3600) -> int:
    """Have every node that answers remove what crashed puts left hidden; returns how many."""
    removed = 0
    for kind in Kind:
        for name in fleet.names(kind):
            node = fleet.node(kind, name)
            if node is None:
                continue
            try:
                with fleet.watched(kind, name):
                    removed += node.clean_leftovers(older_than_seconds)
            except NodeError as error:
                _log.info("leftovers_not_cleaned", node=name, trouble=error.trouble)
    return removed


def _doom(replicas: Replicas, limit: int, intent_grace_ms: int, superseded_grace_ms: int) -> None:
    now_ms = replicas.clock_ms()
    old_intent = _object.committed_ms.is_(None) & (_object.intended_ms < now_ms - intent_grace_ms)
    superseded = _object.superseded_ms < now_ms - superseded_grace_ms
    for unwanted in (old_intent, superseded):
        still = unwanted & _object.removing_ms.is_(None)
        some = sa.select(_object.id).where(still).limit(limit)
        with replicas.engine.begin() as connection:
            connection.execute(
                sa.update(replica_object).where(_object.id.in_(some), still).values(removing_ms=now_ms)
            )


def _claim_next(replicas: Replicas) -> int | None:
    claimed = _DOOMED.take(replicas)
    return _SURPLUS.take(replicas) if claimed is None else claimed


def _remove(replicas: Replicas, entry: Entry, done: Cleaned) -> Cleaned:
    left = 0
    for node in entry.copies:
        if _delete(replicas, entry, node):
            done = replace(done, copies=done.copies + 1)
        else:
            left += 1
    if left:
        with replicas.engine.begin() as connection:
            release(connection, replicas, entry.object_id)
        return replace(done, failed=done.failed + left)
    with replicas.engine.begin() as connection:
        connection.execute(
            sa.delete(replica_object).where(
                _object.id == entry.object_id, _object.lease_owner == replicas.owner
            )
        )
    return replace(done, objects=done.objects + 1)


def _remove_surplus(replicas: Replicas, entry: Entry, done: Cleaned) -> Cleaned:
    rule, fleet = replicas.rules.of(entry.kind, entry.labels), replicas.fleet
    counted = fleet.counted(entry.kind)
    good = [node for node in entry.nodes(CopyState.AVAILABLE) if node in counted]
    for node in entry.nodes(CopyState.OBSOLETE):
        if rule.missing(
            fleet.places(entry.kind, good)
        ):  # it may be needed after all: the fill worker looks at what lies there
            with replicas.engine.begin() as connection:
                if release(connection, replicas, entry.object_id, fill_due_ms=replicas.clock_ms()):
                    set_state(connection, entry.object_id, node, CopyState.COPYING)
            return done
        if _delete(replicas, entry, node):
            done = replace(done, copies=done.copies + 1)
        else:
            done = replace(done, failed=done.failed + 1)
    with replicas.engine.begin() as connection:
        release(connection, replicas, entry.object_id)
    return done


def _delete(replicas: Replicas, entry: Entry, node_name: str) -> bool:
    with replicas.engine.begin() as connection:
        if not still_mine(connection, replicas, entry.object_id):
            return False
    node = replicas.fleet.node(entry.kind, node_name)
    trouble, due_ms = "is not configured", replicas.clock_ms() + pause_ms(0)
    if node is not None:
        try:
            with replicas.fleet.watched(entry.kind, node_name):
                node.delete(entry.name)
        except ObjectLocked as error:
            trouble, due_ms = error.trouble, error.until_ms or replicas.clock_ms() + HOLD_PAUSE_MS
        except NodeError as error:
            trouble = error.trouble
        else:
            with replicas.engine.begin() as connection:
                drop_copy(connection, entry.object_id, node_name)
            return True
    with replicas.engine.begin() as connection:
        note_failure(connection, entry.object_id, node_name, trouble, due_ms)
    return False
