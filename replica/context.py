import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from replica.fleet import Fleet, epoch_ms
from replica.placement import Rule
from storage_nodes.addresses import Kind


def _somebody() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Replicas:
    """What every step needs: the index, the nodes, the rules, and who is working.

    Attributes:
        engine: for short transactions; none is open while bytes travel.
        rules: per kind of object.
        owner: name of this worker in leases; no two workers share one.
        clock_ms: the time, epoch milliseconds.
        lease_ms: how long a worker that died keeps its object from others; longer than copying one takes.
    """

    engine: sa.Engine
    fleet: Fleet
    rules: Mapping[Kind, Rule]
    owner: str = field(default_factory=_somebody)
    clock_ms: Callable[[], int] = epoch_ms
    lease_ms: int = 30 * 60_000
