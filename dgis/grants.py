"""The operator's standing grants, from the configuration into the one table the decision reads."""

import hashlib
from collections.abc import Sequence

from catalog.callers import Right
from catalog.grants import Grant, What, Who
from dgis.configuration import GrantEntry


def standing_grants(entries: Sequence[GrantEntry]) -> list[Grant]:
    """Return the grants of a configuration; equal entries give grants of equal origin, written once."""
    return [_grant(entry) for entry in entries]


def _grant(entry: GrantEntry) -> Grant:
    digest = hashlib.sha256(entry.model_dump_json().encode()).hexdigest()[:16]
    return Grant(
        who=Who(**entry.who.model_dump()),
        what=What(facility=entry.facility),
        may=frozenset(map(Right, entry.may)),
        allow=entry.effect == "allow",
        granted_by="configuration",
        reason="a standing grant of the configuration",
        origin=f"configuration:{digest}",
    )
