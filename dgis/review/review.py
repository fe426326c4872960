"""What any front end asks of a review: what waits, and to decide; every call inside the caller's transaction.

A decision is real with the caller's commit: it stands in the log then, and what is to be published waits for
the worker as a part of its series (dgis.publisher). A crash before the commit leaves nothing; after it the
worker carries it out, however often it is killed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from catalog.remove import withdraw_published
from catalog.tables import PHI
from deid.outcome import WithheldReason
from dgis.departed import notes
from dgis.departed.values import Why
from dgis.review import log, planned
from dgis.review.standing import Standing, for_its_pixels, standings
from dgis.review.values import REVIEWABLE, Answer, Choice, Decided, Item, Refused, Ruling, State

_QUEUED = frozenset({State.WAITING})


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who decides, when (epoch milliseconds), and by which gateway it is carried out, in parts of so much."""

    name: str
    at_ms: int
    gateway_id: str
    part_bytes: int


def queue(
    connection: sa.Connection, states: Collection[State] = _QUEUED, series: str | None = None
) -> list[Item]:
    """Return what was sealed whole for its pixels, by state; without more, what waits for a decision."""
    conditions = [for_its_pixels()]
    if series is not None:
        conditions.append(PHI.series.c.series_key == series)
    found = standings(connection, *conditions)
    return [each.item for each in found if each.item.state in states]


def decide(connection: sa.Connection, instances: Sequence[str], ruling: Ruling, reviewer: Reviewer) -> Answer:
    """Record a decision on instances, named by their keys: on all of them, or on none with the reason."""
    log.lock(connection)
    found: list[Standing] = []
    for key in dict.fromkeys(instances):
        named = standings(connection, PHI.instance.c.instance_key == key)
        if not named:
            return Refused(f"{key}: no such instance here")
        found += named
    return _decide(connection, found, ruling, reviewer)


def decide_series(connection: sa.Connection, series: str, ruling: Ruling, reviewer: Reviewer) -> Answer:
    """Record a decision on what of a series waits for one; a withdrawal, on what reviewers decided of it."""
    log.lock(connection)
    found = standings(connection, PHI.series.c.series_key == series)
    if ruling.choice is Choice.WITHDRAW:
        found = [each for each in found if each.last and each.item.state is not State.WAITING]
    else:
        queued = {item.instance for item in queue(connection, series=series)}
        found = [each for each in found if each.item.instance in queued]
    if not found:
        return Refused("nothing of such a series is there to be decided")
    return _decide(connection, found, ruling, reviewer)


def _decide(
    connection: sa.Connection, found: Sequence[Standing], ruling: Ruling, reviewer: Reviewer
) -> Answer:
    if ruling.choice is Choice.WITHDRAW:
        # Whoever publishes them just now is waited for; then what they are is looked up again.
        planned.lock(connection, [each.phi_instance_id for each in found])
        found = standings(connection, PHI.instance.c.id.in_([each.phi_instance_id for each in found]))
    for each in found:
        refused = _refused(each, ruling)
        if refused:
            return Refused(f"{each.item.instance}: {refused}")
    log.add(connection, found, ruling, reviewer.name, reviewer.at_ms)
    if ruling.choice is Choice.WITHDRAW:
        planned.take_back(connection, [each.phi_instance_id for each in found], reviewer.at_ms)
        shown = [each.phi_instance_id for each in found if each.item.state is State.PUBLISHED]
        notes.add_instances(connection, shown, Why.WITHDRAWN, reviewer.at_ms)
        for each in found:
            if each.item.state is State.PUBLISHED:
                withdraw_published(connection, each.phi_instance_id, WithheldReason.WITHDRAWN.value)
    elif ruling.publishes:
        planned.add(connection, found, reviewer.gateway_id, reviewer.part_bytes, reviewer.at_ms)
    return Decided(len(found))


def _refused(each: Standing, ruling: Ruling) -> str:
    """Return why a decision cannot be; empty where it can."""
    state = each.item.state
    if not each.in_record:
        return "it is not in the grid yet"
    if ruling.choice is Choice.WITHDRAW:
        return "there is nothing to withdraw" if state is State.WAITING else ""
    if state is State.PUBLISHED:
        return "it is published; withdraw that first"
    if each.item.reason not in {reason.value for reason in REVIEWABLE}:
        return f"it is not sealed for its pixels alone: {each.item.reason}"
    if state is State.ON_ITS_WAY:
        return f"decided already: {each.last}; withdraw that first"
    rows, columns = each.item.rows, each.item.columns
    for rectangle in ruling.rectangles:
        if rectangle.clipped(rows, columns) is None:
            return f"the rectangle {rectangle} lies beside an image of {rows} rows and {columns} columns"
    if ruling.frames and max(last for _first, last in ruling.frames) > each.item.frames:
        return f"it has {each.item.frames} frames"
    return ""
