"""PS3.8 table 9-10, every state and every event, beside another reading of the same table."""

from itertools import product

import pytest
from pynetdicom import fsm

from dgis.dimse.states import TRANSITIONS, Action, Event, ImpossibleEventError, Role, State, after

PAIRS = list(product(State, Event))


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=lambda value: value.name)
def test_each_pair_has_the_action_and_the_next_state_of_the_standard(state, event):
    name = fsm.TRANSITION_TABLE.get((f"Evt{event.value}", f"Sta{state.value}"))
    if name is None:
        with pytest.raises(ImpossibleEventError):
            after(state, event, Role.ACCEPTOR)
        return
    action, following = after(state, event, Role.ACCEPTOR)
    allowed = fsm.ACTIONS[name][2]
    assert action.value == name
    assert f"Sta{following.value}" in ((allowed,) if isinstance(allowed, str) else allowed)


def test_the_whole_table_is_there():
    assert len(TRANSITIONS) == len(fsm.TRANSITION_TABLE)
    assert {action.value for action in Action} == set(fsm.ACTIONS)


def test_a_release_collision_depends_on_who_opened_the_association():
    waiting = State.AWAIT_RELEASE_REPLY
    assert after(waiting, Event.RELEASE_RQ_PDU, Role.REQUESTOR)[1] is State.COLLISION_REQUESTOR_AWAIT_LOCAL
    assert after(waiting, Event.RELEASE_RQ_PDU, Role.ACCEPTOR)[1] is State.COLLISION_ACCEPTOR_AWAIT_REPLY
