"""The trail in the database: appended to beside what it records, read in order, never changed."""

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, RowMapping, insert, select, update

from catalog.audit.chain import BEGINNING, Head, digest
from catalog.audit.values import Entry, Event, Happening, Outcome, encoded
from catalog.sql import insert_ignoring
from catalog.tables import audit, audit_head

_AT_ONCE = 1000


def append(connection: Connection, writer: str, happenings: Sequence[Happening], at_ms: int) -> None:
    """Add entries to the chain of a writer, inside the caller's transaction.

    The commit of that transaction is the commit point: what is recorded and its record are there, or
    neither. Writers of one name wait for each other here (the head's row is locked).
    """
    if not happenings:
        return
    beginning = {"writer": writer, "number": 0, "digest": BEGINNING}
    connection.execute(insert_ignoring(connection, audit_head), beginning)
    locked = select(audit_head).where(audit_head.c.writer == writer).with_for_update()
    head = connection.execute(locked).one()
    number, last = head.number, head.digest
    rows = []
    for happening in happenings:
        number += 1
        last = digest(last, writer, number, at_ms, happening)
        rows.append(
            {
                "writer": writer,
                "number": number,
                "at_ms": at_ms,
                "event": happening.event.value,
                "caller": happening.caller,
                "outcome": int(happening.outcome),
                "count": happening.count,
                "kept": encoded(happening),
                "digest": last,
            }
        )
    connection.execute(insert(audit), rows)
    moved = update(audit_head).where(audit_head.c.writer == writer)
    connection.execute(moved.values(number=number, digest=last))


def heads(connection: Connection) -> list[Head]:
    """Return the head of every writer's chain as it stands."""
    rows = connection.execute(select(audit_head).order_by(audit_head.c.writer))
    return [Head(row.writer, row.number, row.digest) for row in rows if row.number]


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
    found = select(audit).order_by(audit.c.at_ms.desc(), audit.c.id.desc()).limit(most)
    if event is not None:
        found = found.where(audit.c.event == event.value)
    return [_entry(row) for row in connection.execute(found).mappings()]


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
