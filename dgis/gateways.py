"""Which gateways of one database live: each says so now and then, and the others act when one does not.

Clocks are held together by NTP; what is decided by them is only whether to begin, never whether to commit.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from catalog.tables import PHI
from dgis.cache.sql import upsert
from dgis.tables import cache_instance, gateway


@dataclass(frozen=True, slots=True)
class Standing:
    """How a gateway does, as the database knows it.

    Attributes:
        heard_ms: when its worker last said that it lives.
        alone: unpublished instances that lie in its cache and in no other: they wait for it.
        shared: those that lie in another gateway's cache as well: that one publishes them.
    """

    gateway_id: str
    heard_ms: int
    alone: int
    shared: int


def say_alive(connection: sa.Connection, gateway_id: str, started_ms: int, now_ms: int) -> None:
    """Say that the worker of a gateway lives."""
    row = {"gateway_id": gateway_id, "heard_ms": now_ms, "started_ms": started_ms}
    update = {name: value for name, value in row.items() if name != "gateway_id"}
    upsert(connection, gateway, [row], key=("gateway_id",), update=update)


def silent(connection: sa.Connection, gateway_id: str, since_ms: int) -> list[str]:
    """Return the other gateways that spoke once and not since; one that never did is left alone."""
    others = sa.and_(gateway.c.gateway_id != gateway_id, gateway.c.heard_ms < since_ms)
    return list(connection.scalars(sa.select(gateway.c.gateway_id).where(others)))


def standings(connection: sa.Connection) -> list[Standing]:
    """Return every gateway that was ever heard of, by name."""
    other = cache_instance.alias("other")
    elsewhere = sa.exists().where(
        other.c.phi_instance_id == cache_instance.c.phi_instance_id,
        other.c.gateway_id != cache_instance.c.gateway_id,
    )
    waiting = (
        sa.select(
            cache_instance.c.gateway_id,
            sa.func.count().filter(~elsewhere).label("alone"),
            sa.func.count().filter(elsewhere).label("shared"),
        )
        .join(PHI.instance, PHI.instance.c.id == cache_instance.c.phi_instance_id)
        .where(cache_instance.c.published.is_(False), PHI.instance.c.record_key.is_(None))
        .group_by(cache_instance.c.gateway_id)
        .subquery()
    )
    rows = connection.execute(
        sa.select(
            gateway.c.gateway_id,
            gateway.c.heard_ms,
            sa.func.coalesce(waiting.c.alone, 0),
            sa.func.coalesce(waiting.c.shared, 0),
        )
        .outerjoin(waiting, waiting.c.gateway_id == gateway.c.gateway_id)
        .order_by(gateway.c.gateway_id)
    )
    return [Standing(*row) for row in rows]
