"""The commit point of a merge: one transaction puts a new part in the place of others."""

from dataclasses import dataclass
from enum import Enum, auto

import sqlalchemy as sa

from catalog import merge as catalog
from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.merge import Move
from dgis import failpoints
from dgis.erasure.fence import may_publish
from dgis.merger import queue
from dgis.merger.values import Merge
from dgis.publisher.tables import publish_part
from dgis.publisher.values import PartState, Step
from dgis.retention import holds
from replica.intent import commit_copies, replace
from replica.values import Stored
from storage_nodes.names import RecordKey


class Switch(Enum):
    """What came of it."""

    DONE = auto()
    CHANGED = auto()  # the parts are not what they were: nothing was written
    LOST = auto()  # the lease is somebody else's: nothing was written


@dataclass(frozen=True, slots=True)
class Change:
    """A new part, and what it takes the place of; `gateway_id` is whose part it is, `writer` who says so."""

    merge: Merge
    owner: str
    patient: str
    study: str
    key_name: str
    gateway_id: str
    writer: str
    planned_ms: int
    stored_bytes: int
    moves: tuple[Move, ...]
    stored: tuple[Stored, ...]


class _Back(Exception):  # noqa: N818 (no error: the way out of a transaction)
    """Rolls the transaction back."""

    def __init__(self, outcome: Switch) -> None:
        super().__init__(outcome.name)
        self.outcome = outcome


def switch(engine: sa.Engine, change: Change, now_ms: int) -> Switch:
    """Commit the change, or nothing of it.

    Raises:
        replica.intent.IntentLost: what was put was taken over or removed; nothing was committed.
    """
    try:
        with engine.begin() as connection:
            _write(connection, change, now_ms)
            failpoints.hit("merge.before_commit")
    except _Back as back:
        return back.outcome
    return Switch.DONE


def _write(connection: sa.Connection, change: Change, now_ms: int) -> None:
    merge, originals = change.merge, [each.place.phi_instance_id for each in change.moves]
    # The fence first: who erases or deletes of this patient is done, or waits until this is.
    if not may_publish(connection, change.patient, change.key_name, originals):
        raise _Back(Switch.CHANGED)
    if not queue.finished(connection, merge, change.owner, now_ms):
        raise _Back(Switch.LOST)
    if not _may_move(connection, change) or not _part_rows(connection, change):
        raise _Back(Switch.CHANGED)
    if not catalog.move(connection, str(merge.record_key), change.moves):
        raise _Back(Switch.CHANGED)
    for each in change.stored:
        commit_copies(connection, each, now_ms)
    replace(connection, map(RecordKey, merge.sources), merge.record_key, now_ms)
    # Last: whoever else writes to this chain waits from here to the commit.
    trail.append(connection, change.writer, [_happening(change)], now_ms)


def _may_move(connection: sa.Connection, change: Change) -> bool:
    """Whether nobody put the series on hold meanwhile."""
    series = str(change.merge.record_key).rpartition(".")[0]
    held = holds.every(connection, [change.patient])
    return not any(each.covers(change.patient, change.study, series) for each in held)


def _part_rows(connection: sa.Connection, change: Change) -> bool:
    """Write the row of the part in the place of the others; False where these are not there any more."""
    merge, part = change.merge, publish_part
    old = connection.execute(
        sa.select(part)
        .where(part.c.record_key.in_(merge.sources), part.c.state == PartState.PUBLISHED.value)
        .order_by(part.c.id)
        .with_for_update()
    ).all()
    if len(old) != len(merge.sources):
        return False
    words = sorted({words for row in old for words in row.removed.splitlines()})
    connection.execute(sa.delete(part).where(part.c.id.in_([row.id for row in old])))
    connection.execute(
        sa.insert(part).values(
            gateway_id=change.gateway_id,
            phi_series_id=merge.phi_series_id,
            record_key=str(merge.record_key),
            state=PartState.PUBLISHED.value,
            instances=len(change.moves),
            raw_bytes=sum(row.raw_bytes for row in old),
            withheld=sum(each.place.withheld_reason is not None for each in change.moves),
            stored_bytes=change.stored_bytes,
            removed="\n".join(words),
            planned_ms=change.planned_ms,
            published_ms=max(row.published_ms for row in old),
            not_before_ms=change.planned_ms,
            step=Step.DONE.value,
        )
    )
    return True


def _happening(change: Change) -> Happening:
    withheld = sum(each.place.withheld_reason is not None for each in change.moves)
    studies: list[Json] = [{"patient": change.patient, "study": change.study}]
    detail: dict[str, Json] = {
        "published": len(change.moves) - withheld,
        "withheld": withheld,
        "studies": studies,
        "record": str(change.merge.record_key),
        "supersedes": [*change.merge.sources],
    }
    return Happening(Event.PUBLISH, "", patients=(change.patient,), detail=detail)
