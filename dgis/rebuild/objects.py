"""Objects on the nodes into the replica index: what it has stays, what it lacks is taken in once it opens.

A copy that lies there whole by its length counts as readable and as never verified: every read checks what it
reads, and the scrub takes such copies first. With `verify` each copy is hashed before it counts.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
import structlog

from catalog.sql import insert_ignoring
from dgis import failpoints, layouts
from dgis.cache.sql import in_lists, reading
from dgis.departed.tables import departed
from dgis.departed.values import Why
from dgis.merger.tables import merged_part
from dgis.publisher.about import PLANNED
from dgis.publisher.tables import publish_part
from dgis.publisher.values import UNFINISHED
from dgis.rebuild.listing import Copy, Found
from dgis.rebuild.opening import Opened, open_found
from dgis.rebuild.tables import rebuild_part
from dgis.rebuild.values import Objects
from replica.context import Replicas
from replica.rules import NO_LABELS
from replica.tables import replica_copy, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Address, Kind

_log = structlog.get_logger(__name__)

_object, _copy = replica_object.c, replica_copy.c
_TOKEN = "rebuild-"  # noqa: S105 (the beginning of an intent's token: such a row was made here)
NEVER_VERIFIED_MS = 0


@dataclass(frozen=True, slots=True)
class Taking:
    """Index and nodes, and whether every copy is hashed."""

    replicas: Replicas
    verify: bool = False


def take(taking: Taking, found: Sequence[Found]) -> Objects:
    """Take some objects of one kind in, each in a transaction of its own; returns what came of it."""
    done = Objects(listed=len(found))
    ours = [each for each in found if each.address is not None]
    done = replace(done, foreign=len(found) - len(ours))
    with reading(taking.replicas.engine) as connection:
        rows = _rows(connection, [each.name for each in ours])
        keys = [str(each.address.key) for each in ours if each.address]
        gone = _removed(connection, keys) | _merged(connection, keys)
    for each in ours:
        assert each.address is not None, "others were left out"
        row = rows.get(each.name)
        if str(each.address.key) in gone:
            done = replace(done, departed=done.departed + 1)
        elif row is not None and (row.removing_ms is not None or row.superseded_ms is not None):
            continue  # its rows say that it is to go, and the clean worker follows them
        elif row is not None and row.committed_ms is not None:
            done = _add_copies(taking, row, each, done)
        else:
            done = _take_one(taking, each, each.address, done)
        failpoints.hit("rebuild.object")
    return done


def _rows(connection: sa.Connection, names: Sequence[str]) -> dict[str, sa.Row[Any]]:
    found: dict[str, sa.Row[Any]] = {}
    for some in in_lists(names):
        query = sa.select(replica_object).where(_object.name.in_(some))
        found |= {row.name: row for row in connection.execute(query)}
    return found


def _removed(connection: sa.Connection, record_keys: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for some in in_lists(record_keys):
        whole = sa.select(departed.c.record_key).where(
            departed.c.record_key.in_(some),
            departed.c.instance_key == "",
            departed.c.why == Why.REMOVED.value,
        )
        found.update(connection.scalars(whole))
    return found


def _merged(connection: sa.Connection, record_keys: Sequence[str]) -> set[str]:
    """Return those whose place another part took, by this database, that is there."""
    found: set[str] = set()
    live = sa.exists().where(
        _object.record_key == merged_part.c.into_key,
        _object.committed_ms.is_not(None),
        _object.superseded_ms.is_(None),
    )
    for some in in_lists(record_keys):
        query = sa.select(merged_part.c.record_key).where(merged_part.c.record_key.in_(some), live)
        found.update(connection.scalars(query))
    return found


def _add_copies(taking: Taking, row: sa.Row[Any], found: Found, done: Objects) -> Objects:
    """Write down copies that the index does not know: the check worker looks at each before it is read."""
    replicas = taking.replicas
    with replicas.engine.begin() as connection:
        have = set(connection.scalars(sa.select(_copy.node).where(_copy.object_id == row.id)))
        new = [copy for copy in found.copies if copy.node not in have]
        if new:
            values = {"object_id": row.id, "state": CopyState.SUSPICIOUS, "due_ms": replicas.clock_ms()}
            rows = [{**values, "node": copy.node, "last_error": "found by a rebuild"} for copy in new]
            connection.execute(sa.insert(replica_copy), rows)
        planned = _Planned(row.record_key, row.committed_ms)
        _note_part(connection, planned)
    return replace(done, copies_added=done.copies_added + len(new))


def _take_one(taking: Taking, found: Found, address: Address, done: Objects) -> Objects:
    opened = open_found(taking.replicas.fleet, found, address, verify=taking.verify)
    if opened is None:
        _log.warning("object_not_taken", record=address.key, kind=address.kind.value)
        return replace(done, damaged=done.damaged + 1)
    with taking.replicas.engine.begin() as connection:
        if _on_its_way(connection, address, taking.replicas.clock_ms()):
            return replace(done, on_their_way=done.on_their_way + 1)
        if not _make_room(connection, found, address):
            return replace(done, duplicates=done.duplicates + 1)
        _write(connection, taking.replicas, found, address, opened)
        planned_ms = opened.about.get(PLANNED)
        known = planned_ms if isinstance(planned_ms, int) else found.modified_ms
        _note_part(connection, _Planned(address.key, known))
    return replace(done, taken=done.taken + 1, bad_copies=done.bad_copies + len(opened.bad))


def _on_its_way(connection: sa.Connection, address: Address, now_ms: int) -> bool:
    """Whether a publisher is at work on it just now: it will commit by itself."""
    part = publish_part.c
    claimed = sa.select(part.id).where(
        part.record_key == address.key, part.state.in_(UNFINISHED), part.lease_until_ms > now_ms
    )
    return connection.execute(claimed).first() is not None


def _make_room(connection: sa.Connection, found: Found, address: Address) -> bool:
    """Whether it is to be the live object of its key and kind; one taken in before that has less goes."""
    live = connection.execute(
        sa.select(replica_object).where(
            _object.record_key == address.key,
            _object.kind == address.kind,
            _object.name != found.name,
            _object.committed_ms.is_not(None),
            _object.superseded_ms.is_(None),
        )
    ).one_or_none()
    if live is None:
        return True
    if not live.intent.startswith(_TOKEN):
        return False
    copies = connection.scalar(sa.select(sa.func.count()).where(_copy.object_id == live.id)) or 0
    if (len(found.copies), found.modified_ms, found.name) <= (copies, live.committed_ms, live.name):
        return False
    connection.execute(sa.delete(replica_copy).where(_copy.object_id == live.id))
    connection.execute(sa.delete(replica_object).where(_object.id == live.id))
    return True


def _write(
    connection: sa.Connection, replicas: Replicas, found: Found, address: Address, opened: Opened
) -> None:
    now_ms = replicas.clock_ms()
    good = [copy for copy in found.copies if copy.node not in opened.bad]
    short = bool(opened.bad) or len(good) < replicas.rules.of(address.kind, NO_LABELS).copies
    values: dict[str, Any] = {
        "record_key": address.key,
        "kind": address.kind,
        "size_bytes": opened.size,
        "sha256": address.sha256,
        "layout": None if opened.layout is None else layouts.to_json(opened.layout),
        "intent": f"{_TOKEN}{uuid.uuid4().hex}",
        "intended_ms": found.modified_ms,
        "committed_ms": found.modified_ms,
        "fill_due_ms": now_ms if short else None,
    }
    object_id = connection.scalar(sa.select(_object.id).where(_object.name == found.name).with_for_update())
    if object_id is None:
        made = sa.insert(replica_object).values(name=found.name, **values).returning(_object.id)
        object_id = connection.execute(made).scalar_one()
    else:  # an attempt that never came to its commit, by what this database knows
        connection.execute(sa.update(replica_object).where(_object.id == object_id).values(**values))
        connection.execute(sa.delete(replica_copy).where(_copy.object_id == object_id))
    connection.execute(sa.insert(replica_copy), list(_copies(object_id, found.copies, opened, now_ms)))


def _copies(object_id: int, copies: Iterable[Copy], opened: Opened, now_ms: int) -> Iterable[dict[str, Any]]:
    verified_ms = now_ms if opened.verified else NEVER_VERIFIED_MS
    for copy in copies:
        trouble = opened.bad.get(copy.node)
        yield {
            "object_id": object_id,
            "node": copy.node,
            "state": CopyState.AVAILABLE if trouble is None else CopyState.BAD,
            "verified_ms": verified_ms if trouble is None else None,
            "last_error": trouble,
        }


@dataclass(frozen=True, slots=True)
class _Planned:
    record_key: str
    planned_ms: int


def _note_part(connection: sa.Connection, part: _Planned) -> None:
    """Write down that a part is to be read; what is known of it from the other kind of object stays."""
    row = {"record_key": part.record_key, "planned_ms": part.planned_ms, "done": False}
    connection.execute(insert_ignoring(connection, rebuild_part), row)
    earlier = sa.update(rebuild_part).where(
        rebuild_part.c.record_key == part.record_key, rebuild_part.c.planned_ms > part.planned_ms
    )
    connection.execute(earlier.values(planned_ms=part.planned_ms))


KINDS = (Kind.RECORD, Kind.SEALED)
