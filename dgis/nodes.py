"""The nodes as plain values: what was decided, how they do, what lies on them; for commands and scripts."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from dgis.configuration import Configuration
from dgis.fleet import rules
from replica import status
from replica.dark import count_dark
from replica.fleet import Fleet, epoch_ms
from replica.placement import Place, why_impossible
from replica.standing import read_standing
from replica.values import NodeState
from replica.weighing import weights
from storage_nodes.addresses import Kind

_DAY_MS = 24 * 3_600_000
_KINDS = {Kind.RECORD: "records", Kind.SEALED: "sealed companions"}


def rows(connection: sa.Connection, configuration: Configuration, fleet: Fleet) -> list[dict[str, Any]]:
    """Return a row for each configured node, then for each that only the index knows.

    Args:
        connection: for reading.
        configuration: of this gateway.
        fleet: whose nodes were asked just now (`Fleet.probe`).
    """
    standing, copies = read_standing(connection), status.status(connection).nodes
    size_bytes, dark = weights(connection), count_dark(connection)
    configured = {entry.name: entry for entry in configuration.nodes}
    known = [name for name in (*copies, *standing.states) if name not in configured]
    unknown = [name for name in dict.fromkeys(known) if not _is_gone(standing.of(name), name in copies)]
    found = []
    for name in (*configured, *unknown):
        entry = configured.get(name)
        found.append(
            {
                "name": name,
                "kind": entry.kind if entry else "",
                "site": entry.site if entry else "",
                "state": str(standing.of(name)) if entry else "unknown",
                "answers": entry is not None and all(fleet.health.is_well(kind, name) for kind in Kind),
                "health": health(fleet, name) if entry else "not in the configuration",
                "bytes": size_bytes.get(name, 0),
                "capacity_bytes": entry.capacity_bytes if entry else None,
                "copies": {str(state): count for state, count in copies.get(name, {}).items()},
                "dark": dark.get(name, 0),
            }
        )
    return found


def _is_gone(state: NodeState, has_copies: bool) -> bool:  # noqa: FBT001 (one caller, above)
    return state is NodeState.REMOVED and not has_copies


def known(connection: sa.Connection) -> set[str]:
    """Return the names that the index knows."""
    standing = read_standing(connection)
    return {*standing.states, *status.status(connection).nodes}


def health(fleet: Fleet, name: str) -> str:
    """Say in words how a node does."""
    said = []
    for kind, what in _KINDS.items():
        condition = fleet.health.condition(kind, name)
        if condition.trouble is not None and not fleet.health.takes_objects(kind, name):
            minutes = (epoch_ms() - condition.down_since_ms) // 60_000 if condition.down_since_ms else 0
            since = f" for {minutes} minutes" if minutes else ""
            said.append(f"{what}: {condition.trouble}{since}")
    return "; ".join(said) or "well"


def scrub_state(
    connection: sa.Connection, configuration: Configuration, now_ms: int
) -> dict[str, int | bool | None]:
    """Return when the copy that was verified longest ago was, and whether all are within the period."""
    kinds = status.status(connection).kinds.values()
    checked = [kind.oldest_check_ms for kind in kinds if kind.oldest_check_ms is not None]
    oldest, days = min(checked, default=None), configuration.care.scrub_days
    kept = oldest is None or now_ms - oldest <= days * _DAY_MS
    return {"scrub_days": days, "oldest_verified_ms": oldest, "kept": kept}


def words(connection: sa.Connection, configuration: Configuration) -> Iterator[str]:
    """Say what an operator should know of how configuration and index differ."""
    standing = read_standing(connection)
    configured = {entry.name for entry in configuration.nodes}
    for name in sorted(configured):
        if standing.of(name) is NodeState.NEW:
            yield f"trouble: {name} is configured and takes no objects yet (dgis node add {name})"
    serving = [
        Place(entry.name, entry.site, entry.kind)
        for entry in configuration.nodes
        if standing.of(entry.name) in {NodeState.ACTIVE, NodeState.READ_ONLY}
    ]
    for rule in dict.fromkeys(rules(configuration)):
        why = why_impossible(rule, serving)
        if why is not None:
            yield f"trouble: a rule of placement cannot be kept by the nodes in service: {why}"
    for name, states in status.status(connection).nodes.items():
        if name not in configured:
            yield f"trouble: {sum(states.values())} copies on {name}, which is not in the configuration"
