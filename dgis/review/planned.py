"""Decisions to publish, as parts that wait for the publisher, and taking them back."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from dgis.cache.sql import in_lists
from dgis.publisher import planning
from dgis.publisher.plan import cut
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.publisher.values import Beginning, Job, PartState
from dgis.review.carrying import decided_originals_of
from dgis.review.standing import Standing

_DECIDED = Beginning(PartState.DECIDED)


@dataclass(frozen=True, slots=True)
class _Planned:
    """One instance of a part that is to be: its row and the bytes of the original."""

    phi_instance_id: int
    length: int


def add(
    connection: sa.Connection, found: Sequence[Standing], gateway_id: str, part_bytes: int, now_ms: int
) -> None:
    """Plan further parts of the instances' series, of which no instance is planned already."""
    of_series: dict[int, list[_Planned]] = defaultdict(list)
    for each in found:
        of_series[each.phi_series_id].append(_Planned(each.phi_instance_id, each.size_bytes))
    for series_id, instances in of_series.items():
        for part in cut(instances, part_bytes):
            planning.add_part(connection, Job(gateway_id, series_id), part, now_ms, _DECIDED)


def lock(connection: sa.Connection, phi_instance_ids: Sequence[int]) -> None:
    """Wait for the publisher where it is about to commit a part of these instances."""
    for some in in_lists(phi_instance_ids):
        of_them = sa.select(publish_part_instance.c.part_id).where(
            publish_part_instance.c.phi_instance_id.in_(some)
        )
        parts = sa.select(publish_part.c.id).where(publish_part.c.id.in_(of_them)).order_by(publish_part.c.id)
        connection.execute(parts.with_for_update())


def take_back(connection: sa.Connection, phi_instance_ids: Sequence[int], now_ms: int) -> None:
    """Plan anew, without these instances, the parts they are planned in.

    A publisher that is at work on such a part cannot commit it any more: its row is gone.
    """
    taken = set(phi_instance_ids)
    of_them: set[int] = set()
    for some in in_lists(phi_instance_ids):
        found = sa.select(publish_part_instance.c.part_id).where(
            publish_part_instance.c.phi_instance_id.in_(some)
        )
        of_them |= set(connection.scalars(found))
    for part_id in sorted(of_them):
        _without(connection, part_id, taken, now_ms)


def _without(connection: sa.Connection, part_id: int, taken: set[int], now_ms: int) -> None:
    part = connection.execute(sa.select(publish_part).where(publish_part.c.id == part_id)).one()
    left = [
        original
        for original in decided_originals_of(connection, part.gateway_id, part_id)
        if original.phi_instance_id not in taken
    ]
    planning.drop_part(connection, part_id)
    if left:
        job = Job(part.gateway_id, part.phi_series_id)
        planning.add_part(connection, job, left, now_ms, _DECIDED)
