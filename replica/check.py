"""The check worker: reads copies again and hashes them, suspicious ones at once, good ones now and then."""

from collections import Counter
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog

from replica.context import Replicas
from replica.examine import Finding, examine
from replica.leases import NOW, Claim, pause_ms, release, still_mine
from replica.rows import Entry, note_failure, read_entry, set_state, set_verified
from replica.tables import in_state, replica_copy, replica_object
from replica.values import CopyState

_log = structlog.get_logger(__name__)
_object = replica_object.c
_copy = replica_copy.c

_SUSPICIOUS = in_state(CopyState.SUSPICIOUS) & (_copy.due_ms <= NOW)
_AGED = (
    in_state(CopyState.AVAILABLE)
    & (_copy.verified_ms < sa.bindparam("before_ms", type_=sa.BigInteger))
    & (_copy.due_ms <= NOW)
)
_LIVE = (
    sa.select(_object.id)
    .join(replica_copy, _copy.object_id == _object.id)
    .where(_object.committed_ms.is_not(None), _object.superseded_ms.is_(None), _object.removing_ms.is_(None))
)
# An index of its own serves each: in another order all copies that are due would be sorted for each claim.
_SUSPICIOUS_COPY = Claim(_LIVE.where(_SUSPICIOUS).order_by(_copy.due_ms))
_AGED_COPY = Claim(_LIVE.where(_AGED).order_by(_copy.verified_ms))
_DUE_NODES = sa.select(_copy.node).where(_copy.object_id == sa.bindparam("object"), _SUSPICIOUS | _AGED)


@dataclass(frozen=True, slots=True)
class Checked:
    """How many copies a run found to be what, how many it could not read just now, and what it read."""

    good: int = 0
    bad: int = 0
    lost: int = 0
    unreachable: int = 0
    read_bytes: int = field(default=0, compare=False)


def run_once(replicas: Replicas, limit: int = 10, verified_before_ms: int | None = None) -> Checked:
    """Check the due copies of at most `limit` objects; several workers may run at once.

    A copy with the right bytes becomes AVAILABLE, one with others BAD, one that is not there LOST; the last
    two make the object due for the fill worker. One whose node does not answer stays as it is, for later.

    Args:
        replicas: index and nodes.
        limit: of objects.
        verified_before_ms: besides suspicious copies also good ones last verified before then, the oldest
            first (the scrub); None: suspicious ones only.
    """
    found: Counter[CopyState | None] = Counter()
    read_bytes = 0
    for _ in range(limit):
        object_id = _claim_next(replicas, verified_before_ms)
        if object_id is None:
            break
        more, size_bytes = _check_object(replicas, object_id, verified_before_ms)
        found += more
        read_bytes += size_bytes
    return Checked(
        read_bytes=read_bytes,
        good=found[CopyState.AVAILABLE],
        bad=found[CopyState.BAD],
        lost=found[CopyState.LOST],
        unreachable=found[None],
    )


def _claim_next(replicas: Replicas, verified_before_ms: int | None) -> int | None:
    claimed = _SUSPICIOUS_COPY.take(replicas)
    if claimed is None and verified_before_ms is not None:
        claimed = _AGED_COPY.take(replicas, before_ms=verified_before_ms)
    return claimed


def _check_object(
    replicas: Replicas, object_id: int, verified_before_ms: int | None
) -> tuple[Counter[CopyState | None], int]:
    # None is older than -1: without a scrub no good copy is due.
    before_ms = -1 if verified_before_ms is None else verified_before_ms
    given = {"object": object_id, "now_ms": replicas.clock_ms(), "before_ms": before_ms}
    with replicas.engine.begin() as connection:
        entry = read_entry(connection, object_id)
        nodes = connection.scalars(_DUE_NODES, given).all()
    found: Counter[CopyState | None] = Counter()
    if entry is None:
        return found, 0
    for node in nodes:
        finding = examine(replicas.fleet, entry, node)
        _write_down(replicas, entry, node, finding)
        found[finding.state] += 1
    with replicas.engine.begin() as connection:
        release(connection, replicas, object_id)
    return found, entry.size_bytes * (found.total() - found[None] - found[CopyState.LOST])


def _write_down(replicas: Replicas, entry: Entry, node: str, finding: Finding) -> None:
    now_ms, object_id = replicas.clock_ms(), entry.object_id
    with replicas.engine.begin() as connection:
        if not still_mine(connection, replicas, object_id):
            return
        match finding.state:
            case None:
                note_failure(connection, object_id, node, finding.trouble or "", now_ms + pause_ms(0))
            case CopyState.AVAILABLE:
                set_verified(connection, object_id, node, now_ms)
            case _:
                _log.warning("copy_not_good", node=node, object_id=object_id, state=finding.state.value)
                connection.execute(
                    sa.update(replica_object).where(_object.id == object_id).values(fill_due_ms=now_ms)
                )
                set_state(connection, object_id, node, finding.state, last_error=finding.trouble)
