"""Proposals of an association that are wrong, or too much (PS3.8 9.3.2, PS3.7 D.3.3)."""

import os
import struct
from contextlib import ExitStack

from tests.tools import wire
from tests.tools.hostile.peer import CANARY, CT, Target, proposed, request

_TITLE = CANARY.upper().encode()
_TITLES = (
    b"",
    b"\0" * 16,
    _TITLE + b"\x1b[2J",
    _TITLE + b"\r\nX",
    _TITLE + b"\\A",
    b"../../" + _TITLE,
    "Ä".encode() + _TITLE,
    _TITLE + b"\0DGIS",
    b"*",
    b"' OR 1=1 --",
)
_IDENTITY = 0x58
_EXTENDED = 0x56
_ROLES = 0x54


def _answers(target: Target, *asked: bytes) -> list[int]:
    kinds = []
    for each in asked:
        with target.peer() as peer:
            kinds.append(peer.say(each).hear_end())
    return kinds


def titles(target: Target) -> None:
    calling = [request(title) for title in _TITLES]
    called = [request(called=title) for title in _TITLES]
    assert set(_answers(target, *calling, *called)) == {wire.RJ}
    assert _answers(target, request(_TITLE + b"ABCDEFGHIJ"))[0] in (wire.RJ, wire.ABORT)  # 17 bytes


def versions(target: Target) -> None:
    wrong = request(version=0), request(application="1.2.3"), request(application=CANARY)
    assert set(_answers(target, *wrong)) == {wire.RJ}


def _identity(kind: int, primary: bytes, secondary: bytes = b"", claimed: int | None = None) -> bytes:
    length = len(primary) if claimed is None else claimed
    held = struct.pack(">BBH", kind, 1, length) + primary + struct.pack(">H", len(secondary)) + secondary
    return request(information=wire.item(_IDENTITY, held))


def identities(target: Target) -> None:
    """Nothing that is presented is passed over, whatever it is."""
    large = (CANARY * 8600).encode()[:60_000]
    unproven = [
        _identity(kind, each) for kind in (2, 3, 4, 5) for each in (large, b"", b"\0", CANARY.encode())
    ]
    unknown = [_identity(kind, CANARY.encode()) for kind in (0, 6, 255)]
    assert set(_answers(target, *unproven, *unknown)) == {wire.RJ}


def broken_identities(target: Target) -> None:
    wrong = [_identity(2, CANARY.encode(), claimed=claimed) for claimed in (0xFFFF, 300)]
    cut = [request(information=wire.item(_IDENTITY, held)) for held in (b"", b"\2", b"\2\1\0", b"\2\1\0\1a")]
    assert set(_answers(target, *wrong, *cut)) == {wire.ABORT}


def extended(target: Target) -> None:
    uid = struct.pack(">H", len(CT)) + CT.encode()
    wrong = [
        wire.item(_EXTENDED, b"\xff\xff" + CANARY.encode()),
        wire.item(_ROLES, uid),
        wire.item(_EXTENDED, b""),
    ]
    wrong += [wire.item(_ROLES, b"\xff\xff"), wire.item(0x51, b"\1")]
    assert set(_answers(target, *(request(information=each) for each in wrong))) == {wire.ABORT}
    odd = [
        wire.item(_EXTENDED, uid + os.urandom(60_000)),
        wire.item(0x5F, os.urandom(60_000)),
        wire.item(0x57, b""),
    ]
    for each in odd:
        with target.peer() as peer:
            assert peer.answer(request(information=each))[0] == wire.AC


def many_roles(target: Target) -> None:
    def role(number: int) -> bytes:
        uid = f"1.2.{number}".encode()
        return wire.item(_ROLES, struct.pack(">H", len(uid)) + uid + b"\1\1")

    roles = b"".join(map(role, range(4_000)))
    assert _answers(target, request(information=roles)) == [wire.ABORT]


def contexts(target: Target) -> None:
    syntaxes = [f"1.2.{number}" for number in range(3_000)]
    wrong = proposed(2, CT), proposed(1, CT) * 2, proposed(1, CT, *syntaxes), wire.item(0x20, b"\1")
    assert set(_answers(target, *(request(contexts=each) for each in wrong))) == {wire.ABORT}
    assert _answers(target, wire.pdu(wire.RQ, bytes(1_100_000))) == [wire.ABORT]


def heavy_proposals(target: Target) -> None:
    """Many associations, each with all it may propose, held open together."""
    syntaxes = [f"1.2.{number}.{CANARY}" for number in range(250)]
    asked = request(contexts=b"".join(proposed(2 * number + 1, CT, *syntaxes) for number in range(128)))
    with ExitStack() as held:
        for _ in range(20):
            peer = held.enter_context(target.peer())
            assert peer.answer(asked)[0] == wire.AC


def syntaxes_that_are_none(target: Target) -> None:
    """A context that is none of ours is refused; the association stands."""
    for name in (
        "../../etc/passwd",
        CANARY,
        "",
        "1" * 65,
        "\U0001d54f",
    ):
        with target.peer() as peer:
            kind, body = peer.answer(request(contexts=proposed(1, name) + proposed(3, CT, name)))
            assert (kind, wire.accepted_contexts(body)) == (wire.AC, {})
