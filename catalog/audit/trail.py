"""The trail in the database: appended to beside what it records, read in order, never changed."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    Update,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from catalog.audit.chain import BEGINNING, Head, digest
from catalog.audit.values import Entry, Event, Happening, Outcome, encoded
from catalog.sql import Statements, insert_each
from catalog.tables import audit, audit_head

_AT_ONCE = 1000


def append(connection: Connection, writer: str, happenings: Sequence[Happening], at_ms: int) -> None:
    """Add entries to the chain of a writer, inside the caller's transaction.

    The commit of that transaction is the commit point: what is recorded and its record are there, or
    neither. Writers of one name wait for each other here (the head's row is locked).
    """
    if not happenings:
        return
    locked = _STATEMENTS.get(connection, "head", _locked)
    head = locked.rows(connection, {"of": writer})
    if not head:
        insert_each(connection, audit_head, [{"writer": writer, "number": 0, "digest": BEGINNING}])
        head = locked.rows(connection, {"of": writer})
    number, last = int(head[0][0]), bytes(head[0][1])
    rows = []
    for happening in happenings:
        number += 1
        kept = encoded(happening)
        last = digest(last, writer, number, at_ms, happening, kept)
        rows.append(
            {
                "writer": writer,
                "number": number,
                "at_ms": at_ms,
                "event": happening.event.value,
                "caller": happening.caller,
                "outcome": int(happening.outcome),
                "count": happening.count,
                "kept": kept,
                "digest": last,
            }
        )
    entries = _STATEMENTS.get(connection, "entries", lambda: insert(audit), tuple(rows[0]))
    if len(rows) == 1:
        entries.write(connection, rows[0])
    else:
        entries.run_each(connection, rows)
    moved = _STATEMENTS.get(connection, "moved", _moved)
    moved.write(connection, {"of": writer, "to_number": number, "to_digest": last})


_STATEMENTS = Statements(8)


def _locked() -> Select[Any]:
    return (
        select(audit_head.c.number, audit_head.c.digest)
        .where(audit_head.c.writer == bindparam("of"))
        .with_for_update()
    )


def _moved() -> Update:
    values: dict[str, Any] = {"number": bindparam("to_number"), "digest": bindparam("to_digest")}
    return update(audit_head).where(audit_head.c.writer == bindparam("of")).values(values)


def heads(connection: Connection) -> list[Head]:
    """Return the head of every writer's chain as it stands."""
    rows = connection.execute(select(audit_head).order_by(audit_head.c.writer))
    return [Head(row.writer, row.number, row.digest) for row in rows if row.number]


def length(connection: Connection) -> int:
    """Return how many entries all chains have together, by their heads."""
    return connection.scalar(select(func.coalesce(func.sum(audit_head.c.number), 0))) or 0


def writers(connection: Connection) -> list[str]:
    """Return who has written, by name."""
    return list(connection.scalars(select(audit.c.writer).distinct().order_by(audit.c.writer)))


def entries(connection: Connection, writer: str, after: int = 0) -> Iterator[Entry]:
    """Yield the entries of a writer in order, from the one after number `after`."""
    while True:
        page = (
            select(audit)
            .where(audit.c.writer == writer, audit.c.number > after)
            .order_by(audit.c.number)
            .limit(_AT_ONCE)
        )
        rows = connection.execute(page).mappings().all()
        yield from map(_entry, rows)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1]["number"]


def latest(connection: Connection, most: int, *, event: Event | None = None) -> list[Entry]:
    """Return the newest entries of all writers, newest first."""
    return [entry for _place, entry in page(connection, most, event=event)]


def page(
    connection: Connection,
    most: int,
    *,
    event: Event | None = None,
    caller: str | None = None,
    before: tuple[int, int] | None = None,
) -> list[tuple[tuple[int, int], Entry]]:
    """Return the newest entries of all writers with the place of each, newest first.

    `before` is the place of the last entry of the page before; `caller` is compared whole.
    """
    found = select(audit).order_by(audit.c.at_ms.desc(), audit.c.id.desc()).limit(most)
    if event is not None:
        found = found.where(audit.c.event == event.value)
    if caller is not None:
        found = found.where(audit.c.caller == caller)
    if before is not None:
        when, number = before
        earlier = and_(audit.c.at_ms == when, audit.c.id < number)
        found = found.where(or_(audit.c.at_ms < when, earlier))
    rows = connection.execute(found).mappings()
    return [((row["at_ms"], row["id"]), _entry(row)) for row in rows]


def _entry(row: RowMapping) -> Entry:
    kept = json.loads(row["kept"])
    happening = Happening(
        event=Event(row["event"]),
        caller=row["caller"],
        outcome=Outcome(row["outcome"]),
        address=kept["address"],
        count=row["count"],
        patients=tuple(kept["patients"]),
        detail=kept["detail"],
    )
    return Entry(row["writer"], row["number"], row["at_ms"], happening, row["digest"])
