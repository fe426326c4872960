"""The DICOM upper layer state machine, DICOM PS3.8 2024b section 9.2, as data."""

from enum import Enum


class State(Enum):
    """PS3.8 tables 9-1 to 9-5."""

    __hash__ = object.__hash__  # there is one of each: Enum would hash the name, in Python, on every look-up

    IDLE = 1
    AWAIT_ASSOCIATE_REQUEST = 2
    AWAIT_LOCAL_ASSOCIATE_RESPONSE = 3
    AWAIT_TRANSPORT = 4
    AWAIT_ASSOCIATE_ANSWER = 5
    ESTABLISHED = 6
    AWAIT_RELEASE_REPLY = 7
    AWAIT_LOCAL_RELEASE_RESPONSE = 8
    COLLISION_REQUESTOR_AWAIT_LOCAL = 9
    COLLISION_ACCEPTOR_AWAIT_REPLY = 10
    COLLISION_REQUESTOR_AWAIT_REPLY = 11
    COLLISION_ACCEPTOR_AWAIT_LOCAL = 12
    AWAIT_CLOSE = 13


class Event(Enum):
    """PS3.8 section 9.2.2: what the user asks, what the peer sends, what the transport does."""

    __hash__ = object.__hash__  # there is one of each: Enum would hash the name, in Python, on every look-up

    ASSOCIATE_REQUEST = 1
    TRANSPORT_CONFIRMED = 2
    ASSOCIATE_AC_PDU = 3
    ASSOCIATE_RJ_PDU = 4
    TRANSPORT_INDICATED = 5
    ASSOCIATE_RQ_PDU = 6
    ASSOCIATE_ACCEPT = 7
    ASSOCIATE_REJECT = 8
    DATA_REQUEST = 9
    DATA_PDU = 10
    RELEASE_REQUEST = 11
    RELEASE_RQ_PDU = 12
    RELEASE_RP_PDU = 13
    RELEASE_RESPONSE = 14
    ABORT_REQUEST = 15
    ABORT_PDU = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Action(Enum):
    """PS3.8 tables 9-6 to 9-9, by the names the standard gives them."""

    __hash__ = object.__hash__  # there is one of each: Enum would hash the name, in Python, on every look-up

    AE_1 = "AE-1"
    AE_2 = "AE-2"
    AE_3 = "AE-3"
    AE_4 = "AE-4"
    AE_5 = "AE-5"
    AE_6 = "AE-6"
    AE_7 = "AE-7"
    AE_8 = "AE-8"
    DT_1 = "DT-1"
    DT_2 = "DT-2"
    AR_1 = "AR-1"
    AR_2 = "AR-2"
    AR_3 = "AR-3"
    AR_4 = "AR-4"
    AR_5 = "AR-5"
    AR_6 = "AR-6"
    AR_7 = "AR-7"
    AR_8 = "AR-8"
    AR_9 = "AR-9"
    AR_10 = "AR-10"
    AA_1 = "AA-1"
    AA_2 = "AA-2"
    AA_3 = "AA-3"
    AA_4 = "AA-4"
    AA_5 = "AA-5"
    AA_6 = "AA-6"
    AA_7 = "AA-7"
    AA_8 = "AA-8"


class Role(Enum):
    """Who opened the association: it decides who answers first when two releases collide."""

    REQUESTOR = "requestor"
    ACCEPTOR = "acceptor"


# PS3.8 table 9-10, one line per event: the action in each state. A pair that is absent cannot happen.
_ROWS: dict[Event, str] = {
    Event.ASSOCIATE_REQUEST: "1:AE-1",
    Event.TRANSPORT_CONFIRMED: "4:AE-2",
    Event.ASSOCIATE_AC_PDU: (
        "2:AA-1 3:AA-8 5:AE-3 6:AA-8 7:AA-8 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-6"
    ),
    Event.ASSOCIATE_RJ_PDU: (
        "2:AA-1 3:AA-8 5:AE-4 6:AA-8 7:AA-8 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-6"
    ),
    Event.TRANSPORT_INDICATED: "1:AE-5",
    Event.ASSOCIATE_RQ_PDU: (
        "2:AE-6 3:AA-8 5:AA-8 6:AA-8 7:AA-8 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-7"
    ),
    Event.ASSOCIATE_ACCEPT: "3:AE-7",
    Event.ASSOCIATE_REJECT: "3:AE-8",
    Event.DATA_REQUEST: "6:DT-1 8:AR-7",
    Event.DATA_PDU: "2:AA-1 3:AA-8 5:AA-8 6:DT-2 7:AR-6 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-6",
    Event.RELEASE_REQUEST: "6:AR-1",
    Event.RELEASE_RQ_PDU: "2:AA-1 3:AA-8 5:AA-8 6:AR-2 7:AR-8 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-6",
    Event.RELEASE_RP_PDU: "2:AA-1 3:AA-8 5:AA-8 6:AA-8 7:AR-3 8:AA-8 9:AA-8 10:AR-10 11:AR-3 12:AA-8 13:AA-6",
    Event.RELEASE_RESPONSE: "8:AR-4 9:AR-9 12:AR-4",
    Event.ABORT_REQUEST: "3:AA-1 4:AA-2 5:AA-1 6:AA-1 7:AA-1 8:AA-1 9:AA-1 10:AA-1 11:AA-1 12:AA-1",
    Event.ABORT_PDU: "2:AA-2 3:AA-3 5:AA-3 6:AA-3 7:AA-3 8:AA-3 9:AA-3 10:AA-3 11:AA-3 12:AA-3 13:AA-2",
    Event.TRANSPORT_CLOSED: (
        "2:AA-5 3:AA-4 4:AA-4 5:AA-4 6:AA-4 7:AA-4 8:AA-4 9:AA-4 10:AA-4 11:AA-4 12:AA-4 13:AR-5"
    ),
    Event.ARTIM_EXPIRED: "2:AA-2 13:AA-2",
    Event.INVALID_PDU: "2:AA-1 3:AA-8 5:AA-8 6:AA-8 7:AA-8 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-7",
}

# The state each action ends in; AE-6 and AR-8 depend on more than the table (see `after`).
_NEXT: dict[Action, State] = {
    Action.AE_1: State.AWAIT_TRANSPORT,
    Action.AE_2: State.AWAIT_ASSOCIATE_ANSWER,
    Action.AE_3: State.ESTABLISHED,
    Action.AE_4: State.IDLE,
    Action.AE_5: State.AWAIT_ASSOCIATE_REQUEST,
    Action.AE_6: State.AWAIT_LOCAL_ASSOCIATE_RESPONSE,
    Action.AE_7: State.ESTABLISHED,
    Action.AE_8: State.AWAIT_CLOSE,
    Action.DT_1: State.ESTABLISHED,
    Action.DT_2: State.ESTABLISHED,
    Action.AR_1: State.AWAIT_RELEASE_REPLY,
    Action.AR_2: State.AWAIT_LOCAL_RELEASE_RESPONSE,
    Action.AR_3: State.IDLE,
    Action.AR_4: State.AWAIT_CLOSE,
    Action.AR_5: State.IDLE,
    Action.AR_6: State.AWAIT_RELEASE_REPLY,
    Action.AR_7: State.AWAIT_LOCAL_RELEASE_RESPONSE,
    Action.AR_8: State.COLLISION_ACCEPTOR_AWAIT_REPLY,
    Action.AR_9: State.COLLISION_REQUESTOR_AWAIT_REPLY,
    Action.AR_10: State.COLLISION_ACCEPTOR_AWAIT_LOCAL,
    Action.AA_1: State.AWAIT_CLOSE,
    Action.AA_2: State.IDLE,
    Action.AA_3: State.IDLE,
    Action.AA_4: State.IDLE,
    Action.AA_5: State.IDLE,
    Action.AA_6: State.AWAIT_CLOSE,
    Action.AA_7: State.AWAIT_CLOSE,
    Action.AA_8: State.AWAIT_CLOSE,
}

TRANSITIONS: dict[tuple[State, Event], Action] = {
    (State(int(state)), event): Action(action)
    for event, row in _ROWS.items()
    for state, action in (cell.split(":") for cell in row.split())
}


class ImpossibleEventError(RuntimeError):
    """Our own code asked for something the state machine does not know in this state: a defect of ours."""


def after(state: State, event: Event, role: Role) -> tuple[Action, State]:
    """Return the action to take and the state it ends in (PS3.8 table 9-10).

    A request that cannot be accepted (AE-6) is rejected by the local user's answer in Sta3, which sends the
    same PDU and reaches the same Sta13.

    Raises:
        ImpossibleEventError: the table has no entry for the pair.
    """
    action = TRANSITIONS.get((state, event))
    if action is None:
        raise ImpossibleEventError(f"{event.name} in state Sta{state.value}")
    if action is Action.AR_8 and role is Role.REQUESTOR:
        return action, State.COLLISION_REQUESTOR_AWAIT_LOCAL
    return action, _NEXT[action]
