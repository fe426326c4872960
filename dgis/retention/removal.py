"""One series out of everything, in one transaction: its commit is the commit point.

With it nobody finds the series, the trail says so, the nodes' objects are retired and caches have no row
of it. After it each gateway's worker writes over what its cache held, the clean worker deletes every copy
from every node, one that is away when it is back, and the nodes are told, so that no rebuild brings it
back. A crash before the commit leaves everything; a crash after it leaves nothing undone that the workers
do not do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.erase import Erased, Originals
from catalog.expire import Expired, expire_records, expire_series, used_records
from dgis import failpoints
from dgis.cache.sql import in_lists
from dgis.departed import notes
from dgis.departed.values import Departed, Why
from dgis.erasure import fence
from dgis.erasure.originals import let_go
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.retention import holds
from dgis.retention.configuration import RetentionRule
from dgis.retention.due import Series, is_due, known
from dgis.tables import cache_conflict
from replica.intent import supersede
from storage_nodes.names import RecordKey


@dataclass(frozen=True, slots=True)
class Removing:
    """By which rules, and who does it, as the trail is to say."""

    rules: Sequence[RetentionRule]
    writer: str  # the chain of the trail
    caller: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """What went with a series."""

    instances: int
    forms: int
    size_bytes: int
    records: int


def remove_series(engine: sa.Engine, series: Series, by: Removing, now_ms: int) -> Removed | None:
    """Delete a series that is due; None where it is not any more, or is on hold by now."""
    with engine.begin() as connection:
        fence.hold(connection, series.patient_key)
        now = known(connection, series)
        rule = None if now is None else is_due(by.rules, now, now_ms)
        if rule is None or _is_held(connection, series):
            return None
        told: dict[str, Json] = {"what": "retention", "keep_days": rule.keep_days}
        removed = _remove(connection, series, by, told, now_ms)
    failpoints.hit("retention.after_commit")
    return removed


def remove_asked(engine: sa.Engine, series: Series, by: Removing, now_ms: int) -> Removed | None:
    """Delete a series because somebody asked; None where it is on hold, or images of it wait for the grid."""
    with engine.begin() as connection:
        fence.hold(connection, series.patient_key)
        now = known(connection, series)
        if now is None or now.pending or _is_held(connection, series):
            return None
        removed = _remove(connection, series, by, {"what": "asked"}, now_ms)
    failpoints.hit("retention.after_commit")
    return removed


def _is_held(connection: sa.Connection, series: Series) -> bool:
    return any(each.covers(*_keys(series)) for each in holds.every(connection, [series.patient_key]))


def _remove(
    connection: sa.Connection, series: Series, by: Removing, told: dict[str, Json], now_ms: int
) -> Removed:
    expired = expire_series(connection, series.row, series.family)
    gone = _let_go(connection, expired, now_ms)
    detail: dict[str, Json] = {
        **told,
        "series": series.series_key,
        "studies": [{"patient": series.patient_key, "study": series.study_key}],
        "instances": len(expired.originals),
        "deidentified": expired.forms,
    }
    happening = Happening(
        Event.DELETE, by.caller, address=by.address, patients=(series.patient_key,), detail=detail
    )
    trail.append(connection, by.writer, [happening], now_ms)
    failpoints.hit("retention.before_commit")
    return Removed(len(expired.originals), expired.forms, expired.size_bytes, len(gone))


def remove_records(connection: sa.Connection, record_keys: Sequence[str], now_ms: int) -> int:
    """Delete what an older database still has of parts that were removed; returns how many originals."""
    count = 0
    for some in in_lists(record_keys):
        expired = expire_records(connection, some)
        _let_go(connection, expired, now_ms)
        supersede(connection, map(RecordKey, some), now_ms)
        count += len(expired.originals)
    return count


def _keys(series: Series) -> tuple[str, str, str]:
    return series.patient_key, series.study_key, series.series_key


def _let_go(connection: sa.Connection, expired: Expired, now_ms: int) -> set[str]:
    """Take what is gone out of caches, plans and the replica index; returns the records that are retired."""
    for some in in_lists(expired.originals):
        disputes = cache_conflict.c.phi_instance_id.in_(some)
        connection.execute(sa.delete(cache_conflict).where(disputes))
    counts = Originals(instances=len(expired.originals))
    let_go(
        connection,
        Erased(counts, expired.originals, expired.series_gone, expired.series_left, expired.record_keys),
        now_ms,
    )
    unused = set(expired.record_keys) - used_records(connection, expired.record_keys)
    notes.add(connection, [Departed(key, "", Why.REMOVED, now_ms) for key in sorted(unused)])
    supersede(connection, map(RecordKey, sorted(unused)), now_ms)
    for keys in in_lists(sorted(unused)):
        parts = sa.select(publish_part.c.id).where(publish_part.c.record_key.in_(keys))
        connection.execute(sa.delete(publish_part_instance).where(publish_part_instance.c.part_id.in_(parts)))
        connection.execute(sa.delete(publish_part).where(publish_part.c.record_key.in_(keys)))
    return unused
