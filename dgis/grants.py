"""The operator's standing grants, from the configuration into the one table the decision reads."""

import hashlib
import json

import sqlalchemy as sa

from catalog.callers import Right
from catalog.grants import Grant, What, Who, keep_standing
from catalog.tables import grants
from dgis.configuration import Configuration, GrantEntry


def apply_standing_grants(
    connection: sa.Connection, configuration: Configuration, now_ms: int
) -> tuple[list[str], list[str]]:
    """Make this gateway's standing grants those of its configuration: what was taken out of it ends now.

    Called by the roles at start and by nothing else: a command that is run without the configuration file
    must not change who may see what.

    Returns:
        The origins of the grants that hold from now on, and of those that ended.
    """
    prefix = f"configuration:{configuration.gateway.name}:"
    before = _standing(connection, prefix, now_ms)
    keep_standing(connection, prefix, [_grant(entry, prefix) for entry in configuration.grants], now_ms)
    after = _standing(connection, prefix, now_ms)
    return sorted(after - before), sorted(before - after)


def _standing(connection: sa.Connection, prefix: str, now_ms: int) -> set[str]:
    ours = grants.c.origin.startswith(prefix, autoescape=True)
    return set(connection.scalars(sa.select(grants.c.origin).where(ours, grants.c.not_after_ms > now_ms)))


def _grant(entry: GrantEntry, prefix: str) -> Grant:
    # Rights are a set: their order is another in every process, and must not make another grant.
    stated = {**entry.model_dump(mode="json"), "may": sorted(entry.may)}
    digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:16]
    return Grant(
        who=Who(**entry.who.model_dump()),
        what=What(facility=entry.facility),
        may=frozenset(map(Right, entry.may)),
        allow=entry.effect == "allow",
        granted_by="configuration",
        reason="a standing grant of the configuration",
        origin=f"{prefix}{digest}",
    )
