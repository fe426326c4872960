"""Too many connections, associations and handshakes."""

import os
from contextlib import ExitStack, suppress
from dataclasses import replace

from tests.tools import wire
from tests.tools.hostile.frames import RELEASE
from tests.tools.hostile.peer import CANARY, Target, request


def silent_connections(target: Target) -> None:
    """Connections that never say a word; the oldest give way."""
    with ExitStack() as held:
        for _ in range(400):
            held.enter_context(target.peer())


def held_associations(target: Target) -> None:
    """From three addresses, as many as each can get."""
    kinds = []
    with ExitStack() as held:
        for number in range(240):
            source = f"{target.source[:-1]}{number % 3 + 1}" if number % 3 else target.source
            peer = held.enter_context(replace(target, source=source).peer())
            with suppress(AssertionError):
                kinds.append(peer.answer(request())[0])
    assert wire.AC in kinds


def short_associations(target: Target) -> None:
    for _ in range(300):
        with target.peer() as peer:
            peer.say(request(), RELEASE).hear_end()


def plain_bytes_to_tls(target: Target) -> None:
    for said in (request(), os.urandom(2000), b"GET / HTTP/1.1\r\n\r\n" + CANARY.encode() * 99):
        with target.tls_peer() as peer:
            peer.say(said).hear_end()


def half_a_handshake(target: Target) -> None:
    hello = bytes.fromhex("160301020001000 1fc0303".replace(" ", "")) + os.urandom(200)
    for _ in range(20):
        with target.tls_peer() as peer:
            peer.say(hello).hang_up()
