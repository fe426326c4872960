"""Entries of the trail as plain values: for `dgis audit list --json` and `/api/audit`."""

from dataclasses import asdict
from typing import Any

from catalog.audit.values import Entry


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return an entry for scripts."""
    told = {**asdict(entry.happening), "outcome": entry.happening.outcome.name.lower()}
    return {"writer": entry.writer, "number": entry.number, "at_ms": entry.at_ms, **told}
