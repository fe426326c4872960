"""Entries of the trail, and what verifying found, as plain values: for scripts and `/api/audit`."""

from dataclasses import asdict
from typing import Any

from catalog.audit.values import Entry
from dgis.trail.verifying import Verified


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return an entry for scripts."""
    told = {**asdict(entry.happening), "outcome": entry.happening.outcome.name.lower()}
    return {"writer": entry.writer, "number": entry.number, "at_ms": entry.at_ms, **told}


def verified_json(done: Verified) -> dict[str, Any]:
    """Return what verifying found for scripts; `dgis.trail.verifying.Verified` says what it means."""
    findings = [{**asdict(each), "fault": each.fault.value} for each in done.findings]
    return {**asdict(done), "findings": findings}
