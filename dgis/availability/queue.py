"""The queue of notices: written in the transaction that publishes, taken under a lease, gone once told."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from catalog.tables import PHI
from dgis.availability.tables import availability_notice
from dgis.cache.sql import upsert

_QUIET_MS = 5_000  # after a part: the parts of a series mostly come one after another
_row = availability_notice.c


@dataclass(frozen=True, slots=True)
class Notice:
    """A series that one destination is to be told of; `claim` is the name of the lease."""

    destination: str
    series_key: str
    version: int
    first_ms: int
    attempts: int
    claim: str

    @property
    def sop_instance_uid(self) -> str:
        """The UID of the notification: the same each time it is sent, so that a repetition shows."""
        name = f"{self.destination}/{self.series_key}/{self.version}/{self.first_ms}"
        return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def announce(
    connection: sa.Connection, gateway_id: str, titles: Iterable[str], phi_series_id: int, now_ms: int
) -> None:
    """Queue a notice of a series for each destination, inside the transaction that publishes a part of it.

    Its commit makes both real: nothing is published of which nobody will be told, and nothing told of else.
    """
    series = PHI.series.c
    keys = connection.scalars(sa.select(series.series_key).where(series.id == phi_series_id)).all()
    rows = [
        {
            "destination": title,
            "series_key": key,
            "gateway_id": gateway_id,
            "version": 1,
            "first_ms": now_ms,
            "due_ms": now_ms + _QUIET_MS,
            "attempts": 0,
            "lease_until_ms": 0,
        }
        for title in sorted(titles)
        for key in keys
    ]
    fresh: dict[str, Any] = {
        name: sa.literal_column(f"excluded.{name}") for name in ("gateway_id", "first_ms", "due_ms")
    }
    update = {**fresh, "version": _row.version + 1, "attempts": 0, "last_error": None}
    upsert(connection, availability_notice, rows, key=("destination", "series_key"), update=update)


def claim(
    connection: sa.Connection, name: str, titles: Collection[str], now_ms: int, lease_ms: int
) -> Notice | None:
    """Take the notice, for one of these destinations, that has been due longest."""
    due = (
        sa.select(_row.destination, _row.series_key)
        .where(_row.destination.in_(sorted(titles)), _row.due_ms <= now_ms, _row.lease_until_ms <= now_ms)
        .order_by(_row.due_ms)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    first = connection.execute(due).one_or_none()
    if first is None:
        return None
    taken = (
        sa.update(availability_notice)
        .where(_row.destination == first.destination, _row.series_key == first.series_key)
        .values(lease_owner=name, lease_until_ms=now_ms + lease_ms)
        .returning(availability_notice)
    )
    row = connection.execute(taken).one()
    return Notice(row.destination, row.series_key, row.version, row.first_ms, row.attempts, name)


def over(connection: sa.Connection, notice: Notice) -> None:
    """It was told, or is not tried any more; what was published meanwhile is told of anew."""
    mine = _mine(notice)
    told = connection.execute(sa.delete(availability_notice).where(mine, _row.version == notice.version))
    if not told.rowcount:
        connection.execute(sa.update(availability_notice).where(mine).values(**_FREE))


def failed(connection: sa.Connection, notice: Notice, due_ms: int, words: str) -> None:
    """It was not taken; it is sent again."""
    mine = sa.update(availability_notice).where(_mine(notice))
    connection.execute(mine.values(due_ms=due_ms, attempts=notice.attempts + 1, last_error=words, **_FREE))


def renew(notice: Notice, connection: sa.Connection, until_ms: int) -> bool:
    """Keep the lease for longer; False where it was lost."""
    mine = sa.update(availability_notice).where(_mine(notice))
    return connection.execute(mine.values(lease_until_ms=until_ms)).rowcount == 1


def clear(connection: sa.Connection, before_ms: int) -> int:
    """Delete what nobody sends any more, for its destination is not configured; returns how many went."""
    return connection.execute(sa.delete(availability_notice).where(_row.first_ms < before_ms)).rowcount


def listed(connection: sa.Connection, most: int = 1_000) -> list[dict[str, Any]]:
    """Return what waits to be told, the longest due first."""
    names = ("destination", "series_key", "first_ms", "due_ms", "attempts", "last_error", "gateway_id")
    columns = [_row[name] for name in names]
    rows = connection.execute(sa.select(*columns).order_by(_row.due_ms).limit(most))
    return [dict(row) for row in rows.mappings()]


_FREE: dict[str, Any] = {"lease_owner": None, "lease_until_ms": 0}


def _mine(notice: Notice) -> sa.ColumnElement[bool]:
    return sa.and_(
        _row.destination == notice.destination,
        _row.series_key == notice.series_key,
        _row.lease_owner == notice.claim,
    )
