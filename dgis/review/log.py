"""The log of decisions: writing to its end, and reading it."""

from collections.abc import Sequence
from types import SimpleNamespace

import sqlalchemy as sa

from dgis.review import chain
from dgis.review.standing import Standing, ruling_of
from dgis.review.tables import review_decision, review_outcome
from dgis.review.values import Ruling, Said, written_frames


def lock(connection: sa.Connection) -> None:
    """Wait for whoever decides at the same time: the log has one end. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        # Readers go on, and so does the publisher, whose rows point to decisions.
        connection.execute(sa.text("LOCK TABLE review_decision IN SHARE ROW EXCLUSIVE MODE"))


def add(
    connection: sa.Connection, found: Sequence[Standing], ruling: Ruling, said_by: str, at_ms: int
) -> None:
    """Write a decision on each instance to the end of the log, which is locked."""
    columns = review_decision.c
    end = connection.execute(
        sa.select(columns.id, columns.digest).order_by(columns.id.desc()).limit(1)
    ).one_or_none()
    number, before = (0, chain.FIRST) if end is None else (end.id, bytes(end.digest))
    for each in found:
        number += 1
        row = {
            "id": number,
            "phi_instance_id": each.phi_instance_id,
            "location": each.location,
            "series_key": each.item.series,
            "instance_key": each.item.instance,
            "choice": ruling.choice.value,
            "rectangles": " ".join(map(str, ruling.rectangles)),
            "frames": written_frames(ruling.frames),
            "said_by": said_by,
            "at_ms": at_ms,
            "previous_id": _previous(connection, each.item.instance),
        }
        before = chain.digest(before, SimpleNamespace(**row))
        connection.execute(sa.insert(review_decision).values(**row, digest=before))


def read(connection: sa.Connection, instance: str | None = None) -> list[Said]:
    """Return the decisions in the order they were made, of one instance where its key is given."""
    statement = (
        sa.select(review_decision, review_outcome.c.record_key, review_outcome.c.refused)
        .outerjoin(review_outcome, review_outcome.c.decision_id == review_decision.c.id)
        .order_by(review_decision.c.id)
    )
    if instance is not None:
        statement = statement.where(review_decision.c.instance_key == instance)
    return [
        Said(
            id=row.id,
            series=row.series_key,
            instance=row.instance_key,
            ruling=ruling_of(row),
            said_by=row.said_by,
            at_ms=row.at_ms,
            previous_id=row.previous_id,
            outcome=row.refused or (f"published in {row.record_key}" if row.record_key else ""),
        )
        for row in connection.execute(statement)
    ]


def first_broken(connection: sa.Connection) -> int | None:
    """Return the first decision that was altered, or before which one is missing; None: all is well."""
    rows = connection.execute(sa.select(review_decision).order_by(review_decision.c.id))
    return chain.first_broken(rows)


def _previous(connection: sa.Connection, instance_key: str) -> int:
    last = sa.select(sa.func.max(review_decision.c.id)).where(review_decision.c.instance_key == instance_key)
    return connection.scalar(last) or 0
