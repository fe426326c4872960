"""PDUs whose lengths, types or turns are wrong (PS3.8 9.2, 9.3)."""

import struct

from tests.tools import wire
from tests.tools.hostile.peer import (
    CANARY,
    COMMAND,
    CT,
    ECHO,
    LAST,
    STORE,
    VERIFICATION,
    Target,
    command,
    data,
    echo,
    request,
    value,
)

RELEASE = wire.pdu(wire.RELEASE_RQ, bytes(4))
NOISE = CANARY.encode() * 20


def store_command(instance: str = "1.2.3.4", sop_class: str = CT, context: int = STORE) -> bytes:
    fields = {"CommandField": 1, "MessageID": 7, "Priority": 0, "CommandDataSetType": 1}
    return command(context, AffectedSOPClassUID=sop_class, AffectedSOPInstanceUID=instance, **fields)


def _unassociated(target: Target, *said: bytes) -> None:
    for each in said:
        with target.peer() as peer:
            peer.say(each).hear_end()


def _associated(target: Target, *said: bytes) -> None:
    for each in said:
        with target.peer() as peer:
            assert peer.associate().say(each).hear_end() == wire.ABORT


def no_length(target: Target) -> None:
    _unassociated(target, wire.pdu(wire.RQ, b""))
    _associated(target, wire.pdu(wire.DATA, b""))


def four_gib(target: Target) -> None:
    _unassociated(target, struct.pack(">BBI", wire.RQ, 0, 0xFFFFFFF0) + NOISE)
    _associated(target, struct.pack(">BBI", wire.DATA, 0, 0xFFFFFFFF) + NOISE)


def cut(target: Target) -> None:
    asked = request()
    with target.peer() as peer:
        peer.say(asked[: len(asked) // 2]).hang_up()
    with target.peer() as peer:
        peer.associate().say(echo()[:-5]).hang_up()


def more_than_announced(target: Target) -> None:
    asked = request()
    _unassociated(target, struct.pack(">BBI", wire.RQ, 0, 100) + asked[6:])
    sent = data(STORE, 0, NOISE)
    _associated(target, store_command() + struct.pack(">BBI", wire.DATA, 0, 40) + sent[6:])


def unknown_types(target: Target) -> None:
    said = [wire.pdu(kind, NOISE) for kind in (0, 8, 0x7F, 0xFF)]
    _unassociated(target, *said)
    _associated(target, *said)


def before_any_association(target: Target) -> None:
    kinds = (wire.AC, wire.RJ, wire.DATA, wire.RELEASE_RQ, wire.RELEASE_RP)
    _unassociated(target, *(wire.pdu(kind, bytes(68)) for kind in kinds), echo())


def asked_twice(target: Target) -> None:
    _associated(target, request(), store_command() + data(STORE, 0, NOISE) + request())


def released_twice(target: Target) -> None:
    with target.peer() as peer:
        assert peer.associate().say(RELEASE * 2).hear_end() == wire.RELEASE_RP
    _associated(target, wire.pdu(wire.RELEASE_RP, bytes(4)))


def values_that_lie(target: Target) -> None:
    lies = [struct.pack(">IBB", claimed, ECHO, 3) for claimed in (0x7FFFFFFF, 0, 1)]
    _associated(target, *(wire.pdu(wire.DATA, lie) for lie in lies))
    _associated(target, wire.pdu(wire.DATA, value(ECHO, COMMAND, b"") + b"abc"))


def empty_values(target: Target) -> None:
    """Fragments of a command, and of a data set, that hold nothing, and never a last one."""
    for first, control in ((b"", COMMAND), (store_command(), 0)):
        endless = wire.pdu(wire.DATA, value(STORE, control, b"") * 20_000) * 10
        _associated(target, first + endless)


def interleaved(target: Target) -> None:
    begun = store_command() + data(STORE, 0, NOISE)
    _associated(target, begun + data(ECHO, LAST, NOISE), begun + echo())


def data_without_command(target: Target) -> None:
    _associated(target, data(STORE, LAST, NOISE), data(77, COMMAND | LAST, NOISE))


def odd_maximum_lengths(target: Target) -> None:
    """No limit and the largest are taken; a PDU of one byte cannot hold a value."""
    for most_bytes, answer in ((0, wire.AC), (0xFFFFFFFF, wire.AC), (1, wire.RJ)):
        with target.peer() as peer:
            assert peer.answer(request(most_bytes=most_bytes))[0] == answer
            if answer == wire.AC:
                peer.say(echo())
                assert peer.status() == 0


def command_lengths(target: Target) -> None:
    held = wire.command({"CommandField": 0x30, "MessageID": 1, "AffectedSOPClassUID": VERIFICATION})
    beyond = struct.pack("<HHI", 0, 2, 0xFFFFFFFF)
    short = struct.pack("<HHI", 0, 0x0100, 3) + b"\x30\0\0"
    other = struct.pack("<HHI", 8, 0x0018, 8) + CANARY.encode() + b" "
    _associated(target, *(data(ECHO, 3, held + wrong) for wrong in (beyond, short, other, b"abc")))


def command_without_end(target: Target) -> None:
    _associated(target, data(ECHO, COMMAND, NOISE) * 1000)
