"""How many storage commitments and notices are open, and since when: for `dgis status` and `dgis doctor`."""

from dataclasses import dataclass

import sqlalchemy as sa

from dgis.availability.tables import availability_notice
from dgis.commitment.tables import commitment
from dgis.commitment.values import State

_row, _notice = commitment.c, availability_notice.c


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows of one kind that are not done: how many, the oldest (epoch ms), how many had an error."""

    count: int
    since_ms: int | None
    failing: int


@dataclass(frozen=True, slots=True)
class Open:
    """What destinations and requestors still wait for.

    `judging`: the gateway has not answered for all instances yet. `reporting`: it has, and the report did not
    reach its destination yet. `given_up`: nobody sends it any more. `notices`: series to be told of.
    """

    judging: Waiting
    reporting: Waiting
    given_up: Waiting
    notices: Waiting


def waiting(connection: sa.Connection) -> Open:
    """Count what is open; of transactions that are over only those that were given up."""
    states = {State.WAITING: "judging", State.JUDGED: "reporting", State.GIVEN_UP: "given_up"}
    found = dict.fromkeys(states.values(), Waiting(0, None, 0))
    counted = (
        sa.select(_row.state, sa.func.count(), sa.func.min(_row.requested_ms), sa.func.count(_row.last_error))
        .where(_row.state.in_([state.value for state in states]))
        .group_by(_row.state)
    )
    for state, count, since_ms, failing in connection.execute(counted):
        found[states[State(state)]] = Waiting(count, since_ms, failing)
    told = sa.select(sa.func.count(), sa.func.min(_notice.first_ms), sa.func.count(_notice.last_error))
    count, since_ms, failing = connection.execute(told).one()
    return Open(**found, notices=Waiting(count, since_ms, failing))
