"""The state of the gateway as plain values, free of PHI: for `dgis status` and for scripts."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from catalog import status as catalog
from catalog.tables import PHI
from dgis import accounting, gateways, nodes
from dgis.cache import status as cache
from dgis.cache.log import ReceiveLog
from dgis.cache.publish_queue import State
from dgis.commitment.waiting import waiting as commitments
from dgis.configuration import Configuration
from dgis.erasure import intents
from dgis.erasure.tables import erasure
from dgis.merger.overview import merge_of, merges
from dgis.publisher.tables import publish_part
from dgis.publisher.values import UNFINISHED, PartState
from dgis.repository import cursor
from dgis.retention import holds
from dgis.retention.allowance import use_of
from dgis.tables import publish_job
from replica import status as replica
from replica.values import CopyState

_MOST_TROUBLES = 20


def status(connection: sa.Connection, log: ReceiveLog, gateway_id: str) -> dict[str, Any]:
    """Return counts of everything that was ever sent here, and what is in the way of what is pending."""
    return {
        "catalog": asdict(catalog.status(connection)),
        "cache": asdict(cache.status(connection, log.files, log.space, gateway_id)),
        "parts": parts(connection, gateway_id),
        "copies": copies(connection),
        "door": accounting.counts(connection, gateway_id),
        "erasures": erasures(connection, gateway_id),
        "merges": merges(connection),
        "commitments": asdict(commitments(connection)),
        "audit_repository": cursor.state(connection, gateway_id),
        "withheld": withheld(connection),
        "waiting": waiting(connection, gateway_id),
        "gateways": [asdict(each) for each in gateways.standings(connection)],
    }


def parts(connection: sa.Connection, gateway_id: str) -> dict[str, int]:
    """Count the parts of series by state, and sum what they hold."""
    row = connection.execute(
        sa.select(
            sa.func.count().filter(publish_part.c.state.in_(UNFINISHED)).label("waiting"),
            sa.func.count().filter(publish_part.c.state == PartState.PUBLISHED.value).label("published"),
            sa.func.coalesce(
                sa.func.sum(publish_part.c.raw_bytes).filter(
                    publish_part.c.state == PartState.PUBLISHED.value
                ),
                0,
            ).label("raw_bytes"),
            sa.func.coalesce(sa.func.sum(publish_part.c.stored_bytes), 0).label("stored_bytes"),
        ).where(publish_part.c.gateway_id == gateway_id)
    ).one()
    return {name: int(value) for name, value in row._asdict().items()}


def copies(connection: sa.Connection) -> dict[str, Any]:
    """Return how the copies on the nodes stand, in numbers and in words."""
    grid = replica.status(connection)
    return {
        "kinds": {str(kind): asdict(each) for kind, each in grid.kinds.items()},
        "nodes": {
            node: {str(state): count for state, count in states.items()}
            for node, states in grid.nodes.items()
        },
        "available": grid.copies(CopyState.AVAILABLE),
        "words": list(grid.words()),
    }


def withheld(connection: sa.Connection) -> dict[str, int]:
    """Count the instances that are sealed whole, by reason."""
    reason = PHI.instance.c.withheld_reason
    rows = connection.execute(
        sa.select(reason, sa.func.count().label("instances"))
        .where(reason.is_not(None))
        .group_by(reason)
        .order_by(reason)
    )
    return {row.withheld_reason: row.instances for row in rows}


def erasures(connection: sa.Connection, gateway_id: str) -> dict[str, int]:
    """Count the erasures, those this gateway has not done, and those some key store does not know of."""
    return {
        "asked": connection.scalar(sa.select(sa.func.count()).select_from(erasure)) or 0,
        "pending": len(intents.tasks(connection, gateway_id)),
        "key_stores_pending": len(intents.not_spread(connection)),
    }


def waiting(connection: sa.Connection, gateway_id: str) -> list[dict[str, Any]]:
    """Return the parts and series that are not done, those with troubles first; series by pseudonym."""
    part = publish_part.c
    troubled = connection.execute(
        sa.select(PHI.series.c.series_key, part.step, part.attempts, part.instances, part.last_error)
        .join(PHI.series, PHI.series.c.id == part.phi_series_id)
        .where(part.gateway_id == gateway_id, part.state.in_(UNFINISHED))
        .order_by(part.last_error.is_(None), part.id)
        .limit(_MOST_TROUBLES)
    )
    rows = [row._asdict() for row in troubled]
    job = publish_job.c
    unplanned = sa.select(part.id).where(
        part.phi_series_id == job.phi_series_id,
        part.gateway_id == gateway_id,
        part.state == PartState.WAITING.value,
    )
    quiet = connection.execute(
        sa.select(
            PHI.series.c.series_key,
            sa.literal("waiting until it is complete").label("step"),
            sa.literal(0).label("attempts"),
            job.pending_instances.label("instances"),
            sa.null().label("last_error"),
        )
        .join(PHI.series, PHI.series.c.id == job.phi_series_id)
        .where(job.gateway_id == gateway_id, job.state != State.PUBLISHED.value, ~unplanned.exists())
        .order_by(job.due_ms)
        .limit(_MOST_TROUBLES)
    )
    return rows + [row._asdict() for row in quiet]


def pending(connection: sa.Connection, log: ReceiveLog, gateway_id: str) -> dict[str, int]:
    """Return what is still on its way into the grid; nothing left means all zeros."""
    unpublished = sa.select(publish_job.c.phi_series_id).where(
        publish_job.c.gateway_id == gateway_id, publish_job.c.state != State.PUBLISHED.value
    )
    decided = sa.select(publish_part.c.phi_series_id).where(
        publish_part.c.gateway_id == gateway_id, publish_part.c.state == PartState.DECIDED.value
    )
    series = sa.union(unpublished, decided).subquery()
    return {
        "unindexed": cache.status(connection, log.files, log.space, gateway_id).unindexed_instances,
        "series": connection.scalar(sa.select(sa.func.count()).select_from(series)) or 0,
    }


def everything(
    connection: sa.Connection, log: ReceiveLog, configuration: Configuration, now_ms: int
) -> dict[str, Any]:
    """Return `status` with what the configuration asks for beside it: for `dgis status` and `/api/status`."""
    values = status(connection, log, configuration.gateway.name)
    values["scrub"] = nodes.scrub_state(connection, configuration, now_ms)
    values["copies"]["words"] += nodes.words(connection, configuration)
    values["facilities"] = use_of(connection, configuration.quotas)
    values["holds"] = len(holds.every(connection))
    return values


def series(connection: sa.Connection, gateway_id: str, key: str | None = None) -> list[dict[str, Any]]:
    """Return the state of each series, newest first, by pseudonym; of one where `key` is given."""
    return [told for _id, told in series_page(connection, gateway_id, key=key)]


def series_page(
    connection: sa.Connection,
    gateway_id: str,
    *,
    key: str | None = None,
    before: tuple[int, int] | None = None,
    most: int | None = None,
) -> list[tuple[int, dict[str, Any]]]:
    """Return `most` series with the catalog's number of each, newest first.

    `before` is what the page before it ended with: when its last image came, and its number.
    """
    table, job, part = PHI.series, publish_job.c, publish_part.c
    of_series = sa.select(
        part.phi_series_id,
        sa.func.count().label("parts"),
        sa.func.count().filter(part.state == PartState.PUBLISHED.value).label("parts_published"),
        sa.func.max(part.last_error).label("last_error"),
    ).group_by(part.phi_series_id)
    counted = of_series.subquery()
    sealed = (
        sa.select(sa.func.count())
        .where(PHI.instance.c.series_row == table.c.id, PHI.instance.c.withheld_reason.is_not(None))
        .correlate(table)
        .scalar_subquery()
    )
    statement = (
        sa.select(
            table.c.id,
            table.c.series_key.label("series"),
            table.c.modality,
            table.c.instance_count.label("instances"),
            job.state,
            job.pending_instances.label("pending"),
            sa.func.coalesce(counted.c.parts, 0).label("parts"),
            sa.func.coalesce(counted.c.parts_published, 0).label("parts_published"),
            sealed.label("withheld"),
            counted.c.last_error,
            job.last_received_ms,
        )
        .join(publish_job, job.phi_series_id == table.c.id)
        .outerjoin(counted, counted.c.phi_series_id == table.c.id)
        .where(job.gateway_id == gateway_id)
        .order_by(job.last_received_ms.desc(), table.c.id)
        .limit(most)
    )
    if key is not None:
        statement = statement.where(table.c.series_key == key)
    if before is not None:
        when, number = before
        earlier = sa.and_(job.last_received_ms == when, table.c.id > number)
        statement = statement.where(sa.or_(job.last_received_ms < when, earlier))
    found = [row._asdict() for row in connection.execute(statement)]
    return [(told.pop("id"), told) for told in found]


def one_series(connection: sa.Connection, gateway_id: str, key: str) -> dict[str, Any] | None:
    """Return the state of one series, what the options removed from it, and the keys of its records."""
    found = series(connection, gateway_id, key)
    if not found:
        return None
    records = connection.scalars(
        sa.select(publish_part.c.record_key)
        .join(PHI.series, PHI.series.c.id == publish_part.c.phi_series_id)
        .where(PHI.series.c.series_key == key, publish_part.c.state == PartState.PUBLISHED.value)
        .order_by(publish_part.c.id)
    )
    told = {"removed": removed(connection, key), "records": list(records), "merge": merge_of(connection, key)}
    return {**found[0], **told}


def removed(connection: sa.Connection, key: str) -> list[str]:
    """Return what the options removed from what is published of a series, in words; of all its parts."""
    said = connection.scalars(
        sa.select(publish_part.c.removed)
        .join(PHI.series, PHI.series.c.id == publish_part.c.phi_series_id)
        .where(PHI.series.c.series_key == key)
    )
    return sorted({words for lines in said for words in lines.splitlines()})
