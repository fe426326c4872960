"""What the publisher is told of decisions, and what it says became of them."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from catalog.tables import PHI
from dgis.cache.sql import location_of
from dgis.publisher.tables import publish_part_instance
from dgis.publisher.values import Original, Part, Sealed
from dgis.review.standing import last_decision, ruling_of
from dgis.review.tables import review_decision, review_outcome
from dgis.review.values import PUBLISHING
from dgis.tables import cache_instance
from storage_nodes.names import RecordKey


def decided_originals_of(connection: sa.Connection, gateway_id: str, part_id: int) -> tuple[Original, ...]:
    """Return the originals of a part that reviewers decided to publish, each with the last decision on it.

    What was decided otherwise since is not among them. They are read from the cache where they lie there,
    else out of the companion they were sealed in.
    """
    instance, place = PHI.instance.c, publish_part_instance.c
    cached = sa.and_(
        cache_instance.c.phi_instance_id == instance.id, cache_instance.c.gateway_id == gateway_id
    )
    rows = connection.execute(
        sa.select(
            instance.id.label("row"),
            instance.sop_instance_uid.label("uid"),
            instance.transfer_syntax.label("syntax"),
            instance.record_key,
            instance.position.label("in_companion"),
            instance.size_bytes,
            instance.sha256.label("received_sha256"),
            review_decision.c.id.label("decision_id"),
            review_decision.c.choice,
            review_decision.c.rectangles,
            review_decision.c.frames,
            *(each for each in cache_instance.c if each.name in _EXTENT),
        )
        .join(publish_part_instance, place.phi_instance_id == instance.id)
        .join(review_decision, review_decision.c.id == last_decision())
        .outerjoin(cache_instance, cached)
        .where(
            place.part_id == part_id,
            instance.withheld_reason.is_not(None),
            review_decision.c.choice.in_(sorted(PUBLISHING)),
        )
        .order_by(place.place)
    )
    return tuple(map(_original, rows))


def note_outcomes(
    connection: sa.Connection, part: Part, still_withheld: Mapping[int, str], now_ms: int
) -> None:
    """Write what became of the decisions of a part, in the transaction that publishes it.

    `still_withheld` says of instances that could not be published why: they wait for a reviewer again.
    """
    rows = [
        {
            "decision_id": original.decision_id,
            "at_ms": now_ms,
            "record_key": None if original.phi_instance_id in still_withheld else str(part.record_key),
            "refused": still_withheld.get(original.phi_instance_id),
        }
        for original in part.originals
    ]
    connection.execute(sa.insert(review_outcome), rows)


_EXTENT = frozenset({"segment_id", "epoch", "position", "span", "data_offset", "length", "sha256"})


def _original(row: Any) -> Original:  # noqa: ANN401 - a row of the statement above
    cached = row.segment_id is not None
    sealed = Sealed(RecordKey(row.record_key), row.in_companion, row.size_bytes, bytes(row.received_sha256))
    return Original(
        phi_instance_id=row.row,
        sop_instance_uid=row.uid,
        transfer_syntax=row.syntax,
        location=location_of(row) if cached else sealed,
        decision=ruling_of(row).on_pixels,
        decision_id=row.decision_id,
    )
