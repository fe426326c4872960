"""Peers that take their time, or never take what they asked for; each plays until the door has had enough."""

import socket
import threading
import time

from tests.tools.hostile.asking import move, study_key
from tests.tools.hostile.frames import NOISE, store_command
from tests.tools.hostile.peer import STORE, Peer, Target, data, echo, request

_LONGEST_SECONDS = 120
_STALL_SECONDS = 3


def _drip(peer: Peer, said: bytes) -> None:
    """Say a byte a second, as long as anybody listens."""
    for place in range(_LONGEST_SECONDS):
        try:
            peer.socket.sendall(said[place % len(said) :][:1])
        except OSError:
            return
        time.sleep(1)
    raise AssertionError("nobody hung up")


def a_byte_a_second(target: Target) -> None:
    """Thirty proposals that come a byte a second."""

    def drip(target: Target) -> None:
        with target.peer() as peer:
            _drip(peer, request())

    target.at_once(drip, 30)


def stalled_request(target: Target) -> None:
    with target.peer(_LONGEST_SECONDS) as peer:
        peer.say(request()[:50]).hear_end()


def stalled_pdu(target: Target) -> None:
    with target.peer(_LONGEST_SECONDS) as peer:
        peer.associate().say(echo()[:20]).hear_end()


def stalled_data_set(target: Target) -> None:
    with target.peer(_LONGEST_SECONDS) as peer:
        peer.associate().say(store_command() + data(STORE, 0, NOISE)).hear_end()


def dripping_data_set(target: Target) -> None:
    with target.peer(_LONGEST_SECONDS) as peer:
        peer.associate().say(store_command() + data(STORE, 0, NOISE))
        _drip(peer, data(STORE, 0, NOISE))


def never_reading(target: Target) -> None:
    """Echoes without end whose answers are never read: the door stops taking more, and then it hangs up."""
    with target.peer(_LONGEST_SECONDS, narrow=True) as peer:
        peer.associate()
        end = time.monotonic() + _LONGEST_SECONDS
        try:
            while time.monotonic() < end:
                peer.socket.sendall(echo() * 5_000)
        except OSError:
            return
        raise AssertionError("nobody hung up, and nobody read an answer")


def stalled_handshake(target: Target) -> None:
    with target.tls_peer() as peer:
        peer.socket.settimeout(_LONGEST_SECONDS)
        peer.say(b"\x16\x03\x01").hear_end()


def destination_that_stalls(target: Target) -> None:
    """A destination that takes the connection, says nothing for a while, and hangs up."""
    with socket.create_server(("127.0.0.1", target.stalled_port)) as listener:
        listening = threading.Thread(target=_say_nothing, args=(listener,), daemon=True)
        listening.start()
        assert move(target, "STALLED", study_key(target.study.encode())) == 0xA702
        listening.join()


def _say_nothing(listener: socket.socket) -> None:
    accepted, _ = listener.accept()
    with accepted:
        time.sleep(_STALL_SECONDS)
