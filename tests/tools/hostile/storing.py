"""Instances whose identity, header or way here is wrong (PS3.7 9.1.1)."""

import struct
import zlib

from tests.tools import wire
from tests.tools.hostile.frames import store_command
from tests.tools.hostile.peer import (
    CANARY,
    CT,
    DEFLATED,
    HOSPITAL,
    STORE,
    VERIFICATION,
    Target,
    command,
    element,
    proposed,
    request,
    whole,
)

_NAMES = (
    "../../../etc/passwd",
    "/etc/passwd",
    f"1.2.3/{CANARY}",
    f"1.2.3\\{CANARY}",
    "1.2\0.3",
    "1" * 65,
    "1." * 40 + "1",
    "",
    CANARY,
    "1.2.a",
    "1..2",
    "-1.2",
    "1.2.3\u0661",
    "*",
    "con",
)
_INSTANCE = "1.2.3.4"


def header(
    instance: str = _INSTANCE, study: str = "1.2.3", series: str = "1.2.3.1", sop_class: str = CT
) -> bytes:
    uids = ((0x00080016, sop_class), (0x00080018, instance))
    above = ((0x0020000D, study), (0x0020000E, series))
    first = b"".join(element(tag, "UI", uid.encode() + b"\0" * (len(uid.encode()) % 2)) for tag, uid in uids)
    name = element(0x00100010, "PN", CANARY.encode())
    return first + name + b"".join(element(tag, "UI", uid.encode()) for tag, uid in above)


def _store(target: Target, instance: str, data_set: bytes, sop_class: str = CT) -> int:
    with target.peer() as peer:
        peer.associate().say(store_command(instance, sop_class), whole(STORE, data_set))
        return peer.status()


def names_of_instances(target: Target) -> None:
    assert {_store(target, name, header(name)) for name in _NAMES if name.isascii()} == {0x0117}


def names_above(target: Target) -> None:
    studies = [_store(target, _INSTANCE, header(study=name)) for name in _NAMES]
    series = [_store(target, _INSTANCE, header(series=name)) for name in _NAMES]
    assert {*studies, *series} == {0xC000}


def another_instance(target: Target) -> None:
    assert _store(target, _INSTANCE, header("1.2.3.5")) == 0xA900
    assert _store(target, _INSTANCE, header(sop_class="1.2.840.10008.5.1.4.1.1.4")) == 0xA900


def another_class(target: Target) -> None:
    for sop_class in ("1.2.840.10008.5.1.4.1.1.4", VERIFICATION, CANARY):
        assert _store(target, _INSTANCE, header(), sop_class) == 0x0122


def no_data_set(target: Target) -> None:
    fields = {"CommandField": 1, "MessageID": 7, "Priority": 0, "CommandDataSetType": wire.NO_DATA_SET}
    with target.peer() as peer:
        asked = command(STORE, AffectedSOPClassUID=CT, AffectedSOPInstanceUID=_INSTANCE, **fields)
        peer.associate().say(asked)
        assert peer.status() == 0x0212


def no_identity(target: Target) -> None:
    """Headers that go on and on, sent by many at once: all of them together are bounded."""
    block = element(0x00090010, "UN", CANARY.encode() * 200_000)

    def send(target: Target) -> None:
        assert _store(target, _INSTANCE, block * 7) in (0xA700, 0xC000)

    target.at_once(send, 30)


def bomb(target: Target) -> None:
    """A hundred kilobytes that inflate to a hundred megabytes, by several at once."""
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = element(0x00090010, "UN", bytes(1 << 24))
    stream = b"".join(deflater.compress(block) for _ in range(8)) + deflater.flush()

    def send(target: Target) -> None:
        with target.peer() as peer:
            peer.associate(request(contexts=proposed(STORE, CT, DEFLATED)))
            peer.say(store_command(), whole(STORE, stream))
            assert peer.status() == 0xC000

    target.at_once(send, 8)


def nested(target: Target) -> None:
    """Sequences within sequences in front of what is looked for."""
    for depth in (1_000, 20_000):
        deep = struct.pack("<HH2sHI", 8, 0x0006, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
            "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
        )
        assert _store(target, _INSTANCE, deep * depth + header()) == 0xC000


def vanishing(target: Target) -> None:
    """A reset at every tenth of an instance."""
    whole_store = store_command() + whole(STORE, header() + element(0x7FE00010, "OB", bytes(500_000)))
    for tenth in range(10):
        with target.peer() as peer:
            peer.associate(request(HOSPITAL)).say(whole_store[: len(whole_store) * tenth // 10])
            peer.reset()
