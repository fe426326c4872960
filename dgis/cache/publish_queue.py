"""When a series is due to be published; the publisher takes the jobs from here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import sqlalchemy as sa

from dgis.cache.sql import Upsert, in_lists
from dgis.tables import publish_job


class State(Enum):
    """How far a series is on its way into the grid."""

    WAITING = "waiting"  # for its due time
    CLAIMED = "claimed"  # a worker holds the lease
    FAILED = "failed"  # tried, waits for its next attempt at its due time
    PUBLISHED = "published"  # nothing of it is pending


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a series waits, in milliseconds: since its last image, and since its sender was done."""

    stable_age_ms: int
    after_release_ms: int


def arrived(
    connection: sa.Connection, gateway_id: str, added: Mapping[int, int], now_ms: int, patience: Patience
) -> None:
    """Count instances that were added to series; a series that was published waits again.

    A job that is claimed or failed keeps its state: its worker sees `pending_instances` and the new due time.
    """
    due_ms = now_ms + patience.stable_age_ms
    rows = [
        {
            "gateway_id": gateway_id,
            "phi_series_id": series_id,
            "state": State.WAITING.value,
            "pending_instances": count,
            "first_received_ms": now_ms,
            "last_received_ms": now_ms,
            "due_ms": due_ms,
            "attempts": 0,
        }
        for series_id, count in sorted(added.items())  # one order for all: no deadlock between writers
    ]
    _ARRIVED.run(connection, rows)


_new = {name: sa.literal_column(f"excluded.{name}", column.type) for name, column in publish_job.c.items()}
_was_published = publish_job.c.state == sa.literal_column(f"'{State.PUBLISHED.value}'")
_failed = publish_job.c.state == sa.literal_column(f"'{State.FAILED.value}'")
_ARRIVED = Upsert(
    publish_job,
    key=("phi_series_id", "gateway_id"),
    update={
        "pending_instances": publish_job.c.pending_instances + _new["pending_instances"],
        "last_received_ms": _new["last_received_ms"],
        "released_ms": sa.null(),
        "due_ms": sa.case((_failed, publish_job.c.due_ms), else_=_new["due_ms"]),
        "first_received_ms": sa.case(
            (_was_published, _new["first_received_ms"]), else_=publish_job.c.first_received_ms
        ),
        "attempts": sa.case((_was_published, _new["attempts"]), else_=publish_job.c.attempts),
        "last_error": sa.case((_was_published, sa.null()), else_=publish_job.c.last_error),
        "step": sa.case((_was_published, sa.null()), else_=publish_job.c.step),
        "state": sa.case((_was_published, _new["state"]), else_=publish_job.c.state),
    },
)


def released(
    connection: sa.Connection, gateway_id: str, series_ids: Iterable[int], now_ms: int, patience: Patience
) -> None:
    """Note that a sender of several images of these series is done: they are due earlier, never later."""
    due_ms = now_ms + patience.after_release_ms
    for part in in_lists(sorted(series_ids)):
        connection.execute(
            sa.update(publish_job)
            .where(
                publish_job.c.gateway_id == gateway_id,
                publish_job.c.phi_series_id.in_(part),
                publish_job.c.state.in_([State.WAITING.value, State.CLAIMED.value]),
                publish_job.c.pending_instances > 0,
            )
            .values(
                released_ms=now_ms,
                due_ms=sa.case((publish_job.c.due_ms > due_ms, due_ms), else_=publish_job.c.due_ms),
            )
        )
