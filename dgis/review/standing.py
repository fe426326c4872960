"""Where instances stand: the last decision on each, what came of it, and what the catalog says of it."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from catalog.tables import PHI
from deid.rectangles import Rectangle
from dgis.publisher.tables import publish_part
from dgis.review.tables import review_decision, review_outcome
from dgis.review.values import PUBLISHING, REVIEWABLE, Choice, Item, Ruling, State, parse_frames

_REASONS = sorted(reason.value for reason in REVIEWABLE)


@dataclass(frozen=True, slots=True)
class Standing:
    """One received original, and its last decision; `item` is what reviewers see of it."""

    phi_instance_id: int
    phi_series_id: int
    location: str
    size_bytes: int
    withheld: bool
    in_record: bool
    last: str  # the last decision in words, empty without one
    item: Item


def standings(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> list[Standing]:
    """Return where the instances that fit stand, in the order of series and instances."""
    instance, series = PHI.instance.c, PHI.series.c
    statement = (
        sa.select(
            instance.id,
            instance.series_row,
            instance.location,
            instance.size_bytes,
            instance.instance_key,
            instance.withheld_reason,
            instance.record_key,
            instance.rows,
            instance.columns,
            instance.number_of_frames,
            instance.received_ms,
            series.series_key,
            series.modality,
            publish_part.c.published_ms,
            review_decision.c.choice,
            review_decision.c.said_by,
            review_decision.c.at_ms,
            review_outcome.c.decision_id,
            review_outcome.c.refused,
        )
        .join(PHI.series, series.id == instance.series_row)
        .outerjoin(review_decision, review_decision.c.id == last_decision())
        .outerjoin(review_outcome, review_outcome.c.decision_id == review_decision.c.id)
        .outerjoin(publish_part, publish_part.c.record_key == instance.record_key)
        .where(*conditions)
        .order_by(series.series_key, instance.instance_number, instance.id)
    )
    return [_standing(row) for row in connection.execute(statement)]


def for_its_pixels() -> sa.ColumnElement[bool]:
    """Select what a verdict on its pixels sealed whole."""
    columns = PHI.instance.c
    return sa.and_(columns.withheld_reason.in_(_REASONS), columns.rows > 0, columns.columns > 0)


def ruling_of(row: Any) -> Ruling:  # noqa: ANN401 - a row of review_decision
    """Return the decision that a row holds."""
    rectangles = tuple(map(Rectangle.parse, row.rectangles.split()))
    return Ruling(Choice(row.choice), rectangles, parse_frames(row.frames))


def last_decision() -> sa.ScalarSelect[Any]:
    """Select the last decision on an original, where the catalog's instances are selected from."""
    mine = review_decision.alias()
    return (
        sa.select(sa.func.max(mine.c.id))
        .where(mine.c.phi_instance_id == PHI.instance.c.id, mine.c.location == PHI.instance.c.location)
        .correlate(PHI.instance)
        .scalar_subquery()
    )


def _standing(row: Any) -> Standing:  # noqa: ANN401
    withheld = row.withheld_reason is not None
    return Standing(
        phi_instance_id=row.id,
        phi_series_id=row.series_row,
        location=row.location,
        size_bytes=row.size_bytes,
        withheld=withheld,
        in_record=row.record_key is not None,
        last="" if row.choice is None else f"{row.choice} by {row.said_by}",
        item=Item(
            series=row.series_key,
            instance=row.instance_key,
            state=_state(row, withheld=withheld),
            reason=row.withheld_reason or "",
            modality=row.modality,
            rows=row.rows or 0,
            columns=row.columns or 0,
            frames=row.number_of_frames or 1,
            since_ms=max(row.at_ms or 0, row.published_ms or row.received_ms),
            words=row.refused or "",
        ),
    )


def _state(row: Any, *, withheld: bool) -> State:  # noqa: ANN401
    if not withheld:
        return State.PUBLISHED
    if row.choice == Choice.KEEP:
        return State.KEPT
    return State.ON_ITS_WAY if row.choice in PUBLISHING and row.decision_id is None else State.WAITING
