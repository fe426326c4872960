import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from replica.fleet import Fleet, epoch_ms
from replica.racing import Race
from replica.rules import Rules
from replica.standing import read_standing


def _somebody() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Replicas:
    """What every step needs: the index, the nodes, the rules, and who is working.

    Attributes:
        engine: for short transactions; none is open while bytes travel.
        rules: how many copies which objects have, and where.
        owner: name of this worker in leases; no two workers share one.
        clock_ms: the time, epoch milliseconds.
        lease_ms: how long a worker that died keeps its object from others; longer than copying one takes.
        race: makes what runs puts at the same time; a simulation runs them one after another.
    """

    engine: sa.Engine
    fleet: Fleet
    rules: Rules
    owner: str = field(default_factory=_somebody)
    clock_ms: Callable[[], int] = epoch_ms
    lease_ms: int = 30 * 60_000
    race: Callable[[], Race[None]] = Race

    def look_at_nodes(self, connection: sa.Connection) -> None:
        """Read what was decided about the nodes; every step begins with it."""
        self.fleet.standing = read_standing(connection)
