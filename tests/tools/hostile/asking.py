"""Queries and transfers that ask for what nobody should (PS3.4 C.4)."""

import struct
import zlib

from tests.tools.hostile.messages import find_command
from tests.tools.hostile.peer import (
    CANARY,
    DEFLATED,
    FIND,
    MOVE,
    STUDY_FIND,
    STUDY_MOVE,
    Peer,
    Target,
    command,
    element,
    proposed,
    request,
    whole,
)

LEVEL = element(0x00080052, "CS", b"STUDY")
_STUDY = 0x0020000D
_NAME, _ID, _ACCESSION = 0x00100010, 0x00100020, 0x00080050
_INJECTED = (
    b"%",
    b"_",
    b"%%" + CANARY.encode(),
    b"'; DROP TABLE phi_patient; --",
    b"' OR '1'='1",
    b'" OR 1=1 --',
    b"[a-z]*" + CANARY.encode(),
    CANARY.encode() + b"*?*?*",
    b"(" * 500,
    b"\0\0" + CANARY.encode(),
    b"{{7*7}}${jndi:ldap://" + CANARY.encode() + b"}",
)


def _ask(peer: Peer, *elements: bytes) -> int:
    peer.say(find_command(), whole(FIND, b"".join(elements)))
    return peer.status()


def _asked(target: Target, *elements: bytes) -> int:
    with target.peer() as peer:
        return _ask(peer.associate(), *elements)


def injected(target: Target) -> None:
    """Every one of them is only text, and nobody has that name."""
    with target.peer() as peer:
        peer.associate()
        for text in _INJECTED:
            for tag, vr in ((_NAME, "PN"), (_ID, "LO"), (_ACCESSION, "SH")):
                assert _ask(peer, LEVEL, element(tag, vr, text)) == 0


def stars(target: Target) -> None:
    for text in (b"*A" * 10_000, b"?" * 10_000, b"A*?" * 10_000):
        assert _asked(target, LEVEL, element(_ID, "LO", text)) == 0xA700
    assert _asked(target, LEVEL, element(_ID, "LO", b"*" * 10_000)) == 0  # one star and many ask for the same


def many_values(target: Target) -> None:
    """A long list is answered; two million values, or more bytes than a query has, are not."""
    uids = b"\\".join(b"1.2.3.%d" % number for number in range(60_000))
    assert _asked(target, LEVEL, element(0x00080061, "CS", b""), _long(_STUDY, uids)) == 0

    def send(target: Target) -> None:
        assert _asked(target, LEVEL, _long(_STUDY, b"1\\" * 2_000_000)) == 0xA700
        assert _asked(target, LEVEL, _long(_STUDY, uids * 10)) == 0xA700

    target.at_once(send, 10)


def _long(tag: int, held: bytes) -> bytes:
    """An element of a VR whose length has four bytes: the tag says what it is."""
    return element(tag, "UN", held)


def many_lists(target: Target) -> None:
    """More long lists at once than fit: some are put off, none is fatal."""
    uids = b"\\".join(b"1.2.3.%d" % number for number in range(60_000))

    def send(target: Target) -> None:
        assert _asked(target, LEVEL, _long(_STUDY, uids)) in (0, 0xA700)

    target.at_once(send, 30)


def many_elements(target: Target) -> None:
    keys = b"".join(struct.pack("<HH2sH", 0x0011 + (n >> 15), n & 0x7FFF, b"LO", 0) for n in range(500_000))

    def send(target: Target) -> None:
        assert _asked(target, LEVEL, keys) == 0xA700

    target.at_once(send, 10)


def nested(target: Target) -> None:
    """Sequences a thousand deep, with lengths left open and with lengths stated."""
    opened = struct.pack("<HH2sHI", 8, 0x1111, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    for depth in (1_000, 20_000):
        assert _asked(target, LEVEL, opened * depth) == 0xC001
    stated = element(0x00100010, "PN", CANARY.encode())
    for _ in range(1_000):
        stated = element(0x00081111, "SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(stated)) + stated)
    assert _asked(target, LEVEL, stated) == 0


def character_sets(target: Target) -> None:
    named = (
        b"ISO_IR 999",
        CANARY.encode(),
        b"ISO 2022 IR 87\\ISO 2022 IR 149\\ISO_IR 192",
        b"\\" * 3000,
        b"utf_16\\idna\\unicode_escape",
    )
    escapes = (
        b"\x1b$B\x1b(J\x1b",
        b"\x1b$)C" + b"\xff" * 99,
        b"\x1b" * 5000,
        b"\xff\xfe\x80" * 99,
        b"\x1b$A" + b"a",
    )
    for name in named:
        for text in escapes:
            keys = element(0x00080005, "CS", name), LEVEL, element(_NAME, "PN", CANARY.encode() + text)
            assert _asked(target, *keys) in (0, 0xC001)
    wide = element(0x00080005, "CS", b"ISO 2022 IR 87\\ISO 2022 IR 13"), LEVEL
    assert _asked(target, *wide, _long(_NAME, b"\x1b$B01\x1b(J^" * 100_000)) in (0, 0xA700)


def malformed(target: Target) -> None:
    wrong = {
        element(0x00080020, "DA", b"99991231-00000000x"): 0xC001,
        element(0x00080020, "DA", CANARY.encode()): 0xC001,
        element(_STUDY, "UI", b"1.2.*"): 0xC001,
        element(0x00080052, "CS", CANARY.encode()): 0xA900,
        b"\0" * 7: 0xC001,
        struct.pack("<HH2sHI", 8, 0x20, b"UN", 0, 0xFFFFFFFE): 0xC001,
    }
    for held, status in wrong.items():
        keys = (held,) if status == 0xA900 else (LEVEL, held)
        assert _asked(target, *keys) == status
    assert _asked(target, element(0x00080020, "DA", b"20240101-20230101"), LEVEL) == 0  # reversed: nothing


def bomb(target: Target) -> None:
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    stream = b"".join(deflater.compress(bytes(1 << 24)) for _ in range(8)) + deflater.flush()

    def send(target: Target) -> None:
        with target.peer() as peer:
            peer.associate(request(contexts=proposed(FIND, STUDY_FIND, DEFLATED)))
            assert _ask(peer, stream) in (0xC001, 0xA700)

    target.at_once(send, 8)


def move(target: Target, destination: str, *elements: bytes) -> int:
    fields = {"CommandField": 0x21, "MessageID": 3, "Priority": 0, "CommandDataSetType": 1}
    asked = command(MOVE, AffectedSOPClassUID=STUDY_MOVE, MoveDestination=destination, **fields)
    with target.peer() as peer:
        peer.associate().say(asked, whole(MOVE, b"".join((LEVEL, *elements))))
        return peer.status()


def study_key(uid: bytes) -> bytes:
    return element(_STUDY, "UI", uid)


def unknown_destinations(target: Target) -> None:
    for title in (CANARY.upper(), "", "../..", "HOSPITAL_1", "A" * 300):
        assert move(target, title, study_key(b"1.2.3")) == 0xA801


def bad_transfers(target: Target) -> None:
    assert move(target, "CLOSED", study_key(b"*")) == 0xA900
    assert move(target, "CLOSED", element(_ID, "LO", CANARY.encode())) == 0xA900
    uids = b"\\".join(b"1.2.3.%d" % number for number in range(60_000))
    assert move(target, "CLOSED", _long(_STUDY, uids)) == 0  # nothing of it is there


def to_itself(target: Target) -> None:
    """The gateway as its own destination: what it sends it has already, and that is the end of it."""
    for _ in range(3):
        assert move(target, "DGIS", study_key(target.study.encode())) == 0


def closed_destination(target: Target) -> None:
    assert move(target, "CLOSED", study_key(target.study.encode())) == 0xA702
