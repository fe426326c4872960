"""A peer with bad manners: whatever bytes, over a plain socket, from an address of its own."""

import socket
import struct
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from tests.tools import wire

CANARY = "Quetzal"  # in whatever a bad peer says, where it says more than numbers
CANARIES = (CANARY, CANARY.upper(), CANARY.lower())
HOSPITAL = b"HOSPITAL_1"
CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
SERVICES = {1: VERIFICATION, 3: CT, 5: STUDY_FIND, 7: STUDY_MOVE}
ECHO, STORE, FIND, MOVE = SERVICES  # the contexts of `Peer.associate`
LAST, COMMAND = 2, 1  # message control header, PS3.8 E.2
_LAST_WORDS = (wire.RJ, wire.RELEASE_RP, wire.ABORT)
_SECONDS = 30


@dataclass(frozen=True)
class Target:
    """The door under attack, the address from which this attack comes, and what there is to ask for."""

    address: tuple[str, int]
    tls_address: tuple[str, int]
    source: str
    study: str  # that the door holds
    stalled_port: int  # of the destination STALLED; where CLOSED is, nobody listens

    def peer(self, seconds: float = _SECONDS, *, narrow: bool = False) -> "Peer":
        return Peer(self.connect(self.address, seconds, narrow=narrow))

    def tls_peer(self) -> "Peer":
        """A peer that has yet to speak TLS."""
        return Peer(self.connect(self.tls_address, _SECONDS))

    def connect(self, address: tuple[str, int], seconds: float, *, narrow: bool = False) -> socket.socket:
        connected = socket.socket()
        if narrow:  # little fits between us
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connected.settimeout(seconds)
        connected.bind((self.source, 0))
        connected.connect(address)
        return connected

    def at_once(self, act: Callable[[Self], object], times: int) -> None:
        """Play the same part many times at once."""
        with ThreadPoolExecutor(times) as pool:
            for done in [pool.submit(act, self) for _ in range(times)]:
                done.result()


class Peer:
    """One connection; saying something to who has hung up is no error, and hearing nothing is `None`."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details) -> None:
        self.socket.close()

    def say(self, *parts: bytes) -> Self:
        with suppress(ConnectionError):
            self.socket.sendall(b"".join(parts))
        return self

    def hear(self) -> tuple[int, bytes] | None:
        """The next PDU; None where the connection is over."""
        head = self._exactly(6)
        if head is None:
            return None
        kind, _, length = struct.unpack(">BBI", head)
        return kind, self._exactly(length) or b""

    def hear_end(self) -> int:
        """Listen until the other side hangs up, or says that it will; returns the type of the last PDU."""
        kind = 0
        while kind not in _LAST_WORDS and (heard := self.hear()) is not None:
            kind = heard[0]
        return kind

    def hang_up(self) -> int:
        """Say that nothing more comes, and listen to the end."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        return self.hear_end()

    def reset(self) -> None:
        """Vanish: a reset instead of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def associate(self, raw: bytes | None = None) -> Self:
        """Come to an association in which every service has a context."""
        assert self.answer(raw or request())[0] == wire.AC
        return self

    def answer(self, raw: bytes) -> tuple[int, bytes]:
        """Say something and return the PDU that answers it."""
        heard = self.say(raw).hear()
        assert heard is not None, "hung up without an answer"
        return heard

    def status(self) -> int:
        """The status of the last response to a request: pending ones are passed over."""
        while True:
            heard = self.hear()
            assert heard is not None, "hung up without a response"
            kind, body = heard
            assert kind == wire.DATA, f"PDU {kind} instead of a response"
            for _context, control, fragment in wire.pdvs(body):
                status = wire.read_command(fragment)["Status"] if control & COMMAND else 0xFF00
                if status not in (0xFF00, 0xFF01):
                    return status

    def _exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionError:
                more = b""
            if not more:
                return None
            data += more
        return bytes(data)


def proposed(number: int, abstract: str | bytes, *syntaxes: str | bytes) -> bytes:
    """A presentation context item (PS3.8 9.3.2.2)."""
    listed = b"".join(wire.item(0x40, _bytes(each)) for each in syntaxes or (wire.EXPLICIT, wire.IMPLICIT))
    return wire.item(0x20, struct.pack(">BBBB", number, 0, 0, 0) + wire.item(0x30, _bytes(abstract)) + listed)


def request(
    calling: bytes = HOSPITAL,
    called: bytes = b"DGIS",
    *,
    contexts: bytes | None = None,
    information: bytes = b"",
    most_bytes: int = 131072,
    version: int = 1,
    application: str = wire.APPLICATION_CONTEXT,
) -> bytes:
    """An A-ASSOCIATE-RQ whose every part may be wrong."""
    if contexts is None:
        contexts = b"".join(proposed(number, uid) for number, uid in SERVICES.items())
    titles = called.ljust(16) + calling.ljust(16) + bytes(32)
    user = wire.item(0x51, struct.pack(">I", most_bytes)) + wire.item(0x52, b"2.25.1") + information
    head = struct.pack(">HH", version, 0) + titles + wire.item(0x10, application.encode())
    return wire.pdu(wire.RQ, head + contexts + wire.item(0x50, user))


def value(context: int, control: int, payload: bytes) -> bytes:
    """A presentation data value (PS3.8 9.3.5.1)."""
    return struct.pack(">IBB", len(payload) + 2, context, control) + payload


def data(context: int, control: int, payload: bytes = b"") -> bytes:
    """A P-DATA-TF PDU of one value."""
    return wire.pdu(wire.DATA, value(context, control, payload))


def command(context: int, **fields: int | str) -> bytes:
    return data(context, COMMAND | LAST, wire.command(fields))


def echo(message: int = 1) -> bytes:
    fields = {"CommandField": 0x30, "MessageID": message, "CommandDataSetType": wire.NO_DATA_SET}
    return command(ECHO, AffectedSOPClassUID=VERIFICATION, **fields)


def raw_command(*elements: tuple[int, bytes]) -> bytes:
    """A command set of elements of group 0000, in any order and of any length."""
    return b"".join(struct.pack("<HHI", 0, number, len(held)) + held for number, held in elements)


def whole(context: int, payload: bytes) -> bytes:
    """A data set in as many PDUs as the gateway's limit asks for."""
    step = 131072 - 6
    places: Iterable[int] = range(0, len(payload), step)
    return b"".join(
        data(context, LAST if at + step >= len(payload) else 0, payload[at : at + step]) for at in places
    )


def element(tag: int, vr: str, held: bytes) -> bytes:
    """An element in explicit VR little endian."""
    held += b" " * (len(held) % 2)
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in {"OB", "UN", "SQ", "UT"}:
        return start + struct.pack("<HI", 0, len(held)) + held
    return start + struct.pack("<H", len(held)) + held


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
