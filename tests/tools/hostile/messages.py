"""Messages of the wrong kind, at the wrong time, or too many of them (PS3.7)."""

import struct

from tests.tools import wire
from tests.tools.client import encode, query
from tests.tools.hostile.peer import (
    COMMAND,
    ECHO,
    FIND,
    LAST,
    STUDY_FIND,
    VERIFICATION,
    Target,
    command,
    data,
    echo,
    raw_command,
    whole,
)

_NO_DATA = {"CommandDataSetType": wire.NO_DATA_SET}
CANCEL = data(
    FIND, COMMAND | LAST, wire.command({"CommandField": 0xFFF, "MessageIDBeingRespondedTo": 9, **_NO_DATA})
)


def find_command(message: int = 9) -> bytes:
    fields = {"CommandField": 0x20, "MessageID": message, "Priority": 0, "CommandDataSetType": 1}
    return command(FIND, AffectedSOPClassUID=STUDY_FIND, **fields)


def missing_elements(target: Target) -> None:
    short = struct.pack("<H", 0x30)
    kind, none = (0x0100, short), (0x0800, struct.pack("<H", wire.NO_DATA_SET))
    for held in (raw_command(none), raw_command(kind), raw_command(kind, none), b""):
        with target.peer() as peer:
            assert peer.associate().say(data(ECHO, 3, held)).hear_end() == wire.ABORT


def group_length_that_lies(target: Target) -> None:
    """It is not believed: the echo is answered all the same."""
    for claimed in (0, 0xFFFFFFFF):
        with target.peer() as peer:
            asked = echo()
            where = asked.index(struct.pack("<HHI", 0, 0, 4)) + 8
            peer.associate().say(asked[:where] + struct.pack("<I", claimed) + asked[where + 4 :])
            assert peer.status() == 0


def operations_of_another_class(target: Target) -> None:
    with target.peer() as peer:
        peer.associate()
        for field in (0x01, 0x20, 0x10, 0x21, 0x0130, 0x0100, 0x0777):
            fields = {"CommandField": field, "MessageID": 3, **_NO_DATA}
            peer.say(command(ECHO, AffectedSOPClassUID=VERIFICATION, **fields))
            assert peer.status() in (0x0122, 0x0211)
        answer = {"CommandField": 0x8001, "MessageIDBeingRespondedTo": 3, "Status": 0, **_NO_DATA}
        assert peer.say(command(ECHO, **answer)).hear_end() == wire.ABORT


def cancels(target: Target) -> None:
    """Cancels of nothing are passed over; behind a query they cancel it, and the rest is passed over."""
    asked = find_command() + whole(FIND, encode(query("STUDY", StudyInstanceUID=""), wire.EXPLICIT))
    with target.peer() as peer:
        peer.associate().say(CANCEL * 20_000, echo())
        assert peer.status() == 0
        peer.say(asked, CANCEL * 20_000)
        assert peer.status() in (0x0000, 0xFE00)
        peer.say(echo())
        assert peer.status() == 0


def impatient(target: Target) -> None:
    """Five thousand requests are under way before one answer is read."""
    with target.peer() as peer:
        peer.associate().say(echo() * 5_000)
        for _ in range(5_000):
            assert peer.status() == 0
