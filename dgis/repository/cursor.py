"""Where a gateway is with its repository, in the database; and how that is told."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from dgis.cache.sql import upsert
from dgis.repository.streams import Sort, Stream, first_waiting_ms, streams
from dgis.repository.tables import audit_repository, audit_sent


def settled(connection: sa.Connection, repository: str) -> dict[str, int]:
    """Return up to where nothing is sent again, by the name of the stream."""
    rows = sa.select(audit_sent.c.stream, audit_sent.c.settled).where(audit_sent.c.repository == repository)
    return {row.stream: row.settled for row in connection.execute(rows)}


def move(
    connection: sa.Connection, repository: str, sent: Mapping[str, int], done: Mapping[str, int]
) -> None:
    """Note what was handed over and what is settled, by the name of the stream."""
    rows = [
        {"repository": repository, "stream": name, "sent": number, "settled": done.get(name, 0)}
        for name, number in sorted(sent.items())
    ]
    excluded: dict[str, Any] = {name: sa.literal_column(f"excluded.{name}") for name in ("sent", "settled")}
    upsert(connection, audit_sent, rows, key=("repository", "stream"), update=excluded)


def note(connection: sa.Connection, gateway_id: str, repository: str, **values: Any) -> None:  # noqa: ANN401 (columns)
    """Note how it goes: `sent_ms`, `trouble`, `trouble_since_ms`."""
    row = {"gateway_id": gateway_id, "repository": repository, **values}
    update = {name: value for name, value in row.items() if name != "gateway_id"}
    upsert(connection, audit_repository, [row], key=("gateway_id",), update=update)


def forget(connection: sa.Connection, gateway_id: str) -> None:
    """Note that there is no repository any more; where its streams were is kept."""
    connection.execute(sa.delete(audit_repository).where(audit_repository.c.gateway_id == gateway_id))


def state(connection: sa.Connection, gateway_id: str) -> dict[str, Any] | None:
    """Return how it goes, free of PHI; None where no worker of the gateway knows of a repository.

    `waiting` entries were not handed over yet, the first of them written at `waiting_since_ms`;
    `unsettled` ones were, so lately that they are sent again if the connection ends.
    """
    row = (
        connection.execute(sa.select(audit_repository).where(audit_repository.c.gateway_id == gateway_id))
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    rows = sa.select(audit_sent).where(audit_sent.c.repository == row["repository"])
    at = {each.stream: (each.sent, each.settled) for each in connection.execute(rows)}
    waiting, unsettled, since = 0, 0, []
    for stream, last in streams(connection, gateway_id).items():
        if stream.sort is Sort.ENTRIES:
            sent, done = at.get(stream.name, (0, 0))
            waiting, unsettled = waiting + max(0, last - sent), unsettled + max(0, sent - done)
            since += _since(connection, stream, sent)
    told = {name: row[name] for name in ("repository", "sent_ms", "trouble", "trouble_since_ms")}
    return {**told, "waiting": waiting, "waiting_since_ms": min(since, default=None), "unsettled": unsettled}


def _since(connection: sa.Connection, stream: Stream, sent: int) -> list[int]:
    first = first_waiting_ms(connection, stream, sent)
    return [] if first is None else [first]
