"""The operator's standing grants, from the configuration into the one table the decision reads."""

import hashlib

import sqlalchemy as sa

from catalog.callers import Right
from catalog.grants import Grant, What, Who, keep_standing
from dgis.configuration import Configuration, GrantEntry


def apply_standing_grants(connection: sa.Connection, configuration: Configuration, now_ms: int) -> None:
    """Make this gateway's standing grants those of its configuration: what was taken out of it ends now.

    Called by the roles at start and by nothing else: a command that is run without the configuration file
    must not change who may see what.
    """
    prefix = f"configuration:{configuration.gateway.name}:"
    keep_standing(connection, prefix, [_grant(entry, prefix) for entry in configuration.grants], now_ms)


def _grant(entry: GrantEntry, prefix: str) -> Grant:
    digest = hashlib.sha256(entry.model_dump_json().encode()).hexdigest()[:16]
    return Grant(
        who=Who(**entry.who.model_dump()),
        what=What(facility=entry.facility),
        may=frozenset(map(Right, entry.may)),
        allow=entry.effect == "allow",
        granted_by="configuration",
        reason="a standing grant of the configuration",
        origin=f"{prefix}{digest}",
    )
