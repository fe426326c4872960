"""Limits of the door, hostile peers (the list of bad inputs), and how it stops."""

import resource
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from dgis.dimse.client import associate
from dgis.dimse.limits import Limits
from dgis.dimse.proposal import ProposedContext, UserIdentity
from dgis.dimse.requestor import Party, Proposal, Terms
from dgis.dimse.server import DicomServer
from dgis.dimse.services import Note
from dgis.dimse.uids import EXPLICIT_LE, IMPLICIT_LE, VERIFICATION
from tests.gateway import wait_until
from tests.unit.dgis.dimse.fakes import SLOW_ENOUGH, Archive, NullSink, serving
from tests.unit.dgis.dimse.parrot import (
    ABORT,
    CT,
    CT_CONTEXT,
    ECHO_CONTEXT,
    RELEASE,
    Parrot,
    command,
    data_set,
    echo_command,
    encode_request,
    parrot,
    pdata,
    request,
    store_command,
)

TIGHT = Limits(
    artim_seconds=0.5,
    idle_seconds=0.5,
    window_seconds=0.4,
    close_seconds=0.3,
    minimum_bytes_per_second=10_000,
    max_associations=4,
    max_associations_per_address=3,
    max_unassociated=8,
)
ASSOCIATED = encode_request(request(ECHO_CONTEXT, CT_CONTEXT))


def good_client_is_served(port: int) -> bool:
    with parrot(port, 5) as bird:
        return bird.echoes()


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture
def port(archive):
    with serving(archive) as number:
        yield number


@pytest.mark.parametrize(
    "words",
    [
        b"\4\0\xff\xff\xff\xf0",  # 1: a length nobody can mean
        b"\4\0\0\0\0\0",  # 2: no value in it
        b"\4\0\0\0\0\6\0\0\0\2\1",  # 2: cut
        b"\4\0\0\0\0\7\0\0\0\xff\1\3x",  # 2: a value longer than its PDU
        b"\4\0\0\0\0\7\0\0\0\1\1\3x",  # 2: a value shorter than its own header
        b"\4\0\0\0\0\x0a\0\0\0\2\1\3abcd",  # stray bytes behind a value
        b"\x2a\0\0\0\0\4abcd",  # 3: unknown type
        b"\1\0\0\0\0\4abcd",  # a second request
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\3\1\2\0\1\0\1\xfc\3\3" + bytes(500),  # TLS on the plain port
        pdata(99, 3, b"no such context"),
        pdata(1, 2, b"a data set without a command"),
        pdata(1, 3, b""),
        pdata(1, 3, b"\0\0\0\0\4\0\0\0\xff\xff\xff\xff"),
        pdata(1, 1, bytes(60_000)) * 2,  # a command set without end
    ],
)
@pytest.mark.parametrize("associated", [False, True], ids=["before", "after"])
def test_bytes_that_are_no_protocol_end_that_association_only(port, words, associated):
    with parrot(port) as bird:
        if associated:
            bird.associate(ECHO_CONTEXT, CT_CONTEXT)
        bird.say(words)
        bird.socket.shutdown(socket.SHUT_WR)
        assert bird.hear()[0] in (0, 7)
    assert good_client_is_served(port)


def test_silent_sockets_keep_nobody_out_and_are_forgotten(archive):
    with serving(archive, TIGHT) as port, ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(parrot(port)).say(b"\1")
            assert len(threading.enumerate()) < 100
        assert good_client_is_served(port)


def test_a_thousand_connections_in_a_row(archive):
    with serving(archive) as port:
        for _ in range(1_000):
            Parrot(port).close()
        assert good_client_is_served(port)


def test_a_slow_sender_is_cut_off(archive):
    with serving(archive, TIGHT) as port, parrot(port) as bird:
        bird.associate(CT_CONTEXT)
        bird.say(command(3, store_command("1.2.3.4")) + pdata(3, 0, data_set(pixel_bytes=50_000))[:-40_000])
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.02):
                try:
                    bird.say(b"\0")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        assert bird.hear()[0] in (0, 7)
        stop.set()
        thread.join()
        wait_until(lambda: len(archive.events) == 2, 5, "the end is noted")
        assert archive.abandoned == 1
        assert archive.events[1].words == "too slow: message: below 10000 bytes/s"


def test_an_idle_association_is_aborted(archive):
    with serving(archive, TIGHT) as port, parrot(port) as bird:
        bird.associate(ECHO_CONTEXT)
        assert bird.hear() == (7, bytes(4))


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_reset_in_the_middle_of_an_image_leaves_nothing(archive, port, tenth):
    message = command(3, store_command("1.2.3.4")) + pdata(3, 2, data_set(pixel_bytes=50_000))
    with parrot(port) as bird:
        bird.associate(CT_CONTEXT)
        bird.say(message[: len(message) * tenth // 10])
        linger_off = b"\1\0\0\0\0\0\0\0"
        bird.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_off)
    assert good_client_is_served(port)
    wait_until(lambda: archive.abandoned in (1, len(archive.incoming)), 5, "the sink is let go")
    assert not archive.instances


@pytest.mark.parametrize(("last", "answer"), [(RELEASE, 6), (ABORT, 0)])
def test_release_and_abort_in_the_middle_of_a_command(port, last, answer):
    with parrot(port) as bird:
        bird.associate(ECHO_CONTEXT)
        bird.say(pdata(1, 1, command(1, echo_command())[12:40]) + last)
        assert bird.hear()[0] == answer
    assert good_client_is_served(port)


def test_128_contexts_and_none(port):
    contexts = tuple(ProposedContext(number, CT, (EXPLICIT_LE, IMPLICIT_LE)) for number in range(1, 256, 2))
    with parrot(port) as bird:
        assert [result.outcome for result in bird.associate(*contexts).results] == [0] * 128
    with parrot(port) as bird:
        assert bird.associate().results == ()
        bird.say(RELEASE)
        assert bird.hear()[0] == 6


@pytest.mark.parametrize("most", [0, 0xFFFFFFFF, 64, 100])
def test_the_peers_maximum_is_honoured(port, most):
    with parrot(port) as bird:
        bird.associate(ECHO_CONTEXT, max_pdu_bytes=most)
        bird.say(command(1, echo_command()))
        longest = 0
        control = 0
        while not control & 2:
            kind, body = bird.hear()
            assert kind == 4
            longest, control = max(longest, len(body)), body[5]
        assert longest <= (most or 10_000)


@pytest.mark.parametrize("most", [1, 6, 12, 63])
def test_a_maximum_that_holds_nothing_is_rejected(port, most):
    with parrot(port) as bird:
        bird.say(encode_request(request(ECHO_CONTEXT, max_pdu_bytes=most)))
        assert bird.hear() == (3, b"\0\1\1\1")


@pytest.mark.parametrize("title", [b"A\0B", b"\x1b[2J", b"..\\..\\etc", b"", b"\xff\xfe"])
@pytest.mark.parametrize(("offset", "reason"), [(10, 7), (26, 3)])
def test_ae_titles_that_are_none_are_rejected(port, title, offset, reason):
    proposal = bytearray(ASSOCIATED)
    proposal[offset : offset + 16] = title.ljust(16)
    with parrot(port) as bird:
        bird.say(bytes(proposal))
        assert bird.hear() == (3, bytes((0, 1, 1, reason)))


@pytest.mark.parametrize("size", [0, 1, 60_000, 65_000])
def test_user_identities_of_any_size_reach_the_decision(archive, port, size):
    secret = b"C" * size
    with parrot(port) as bird:
        identity = UserIdentity(4, secret, response_requested=True)
        accept = bird.associate(ECHO_CONTEXT, identity=identity)
        assert accept.identity_response == b"response"
    assert archive.attempts[0].identity.primary == secret
    assert "CCC" not in repr(archive.attempts)


def test_a_decision_that_fails_asks_the_peer_to_come_again(archive, port):
    archive.admit = lambda _attempt: 1 / 0
    with parrot(port) as bird:
        bird.say(ASSOCIATED)
        assert bird.hear() == (3, b"\0\2\3\1")
    del archive.admit
    assert good_client_is_served(port)


def test_over_the_limit_of_an_address_the_rejection_is_transient(archive):
    with serving(archive, TIGHT) as port, ExitStack() as stack:
        birds = [stack.enter_context(parrot(port)) for _ in range(4)]
        for bird in birds[:3]:
            bird.associate(ECHO_CONTEXT)
        birds[3].say(ASSOCIATED)
        assert birds[3].hear() == (3, b"\0\2\3\2")
        birds[0].say(RELEASE)
        assert birds[0].hear()[0] == 6
        birds[0].close()
        wait_until(lambda: good_client_is_served(port), 5, "the slot is free again")


def test_who_leaves_associations_open_keeps_nobody_out(archive):
    limits = replace(TIGHT, idle_seconds=30, spare_after_seconds=0.05)
    with serving(archive, limits) as port, ExitStack() as stack:
        birds = [stack.enter_context(parrot(port)) for _ in range(20)]
        for bird in birds:
            bird.say(ASSOCIATED)
            # 0: a connection that has said nothing yet gives way to newer ones (max_unassociated)
            assert bird.hear()[0] in (0, 2, 3)
        wait_until(lambda: good_client_is_served(port), 5, "somebody gives way")


def test_an_association_at_work_never_gives_way(archive):
    limits = replace(TIGHT, idle_seconds=30, spare_after_seconds=0, window_seconds=30, max_associations=1)
    with serving(archive, limits) as port, parrot(port) as busy, parrot(port) as other:
        busy.associate(CT_CONTEXT)
        message = command(3, store_command("1.2.3.4")) + pdata(3, 2, data_set())
        busy.say(message[:-10])
        wait_until(lambda: archive.incoming, 5, "the store has begun")
        other.say(ASSOCIATED)
        assert other.hear() == (3, b"\0\2\3\2")
        busy.say(message[-10:])
        assert busy.hear_command().status == 0


def test_refusals_and_endings_are_noted_without_what_the_peer_said(archive, port):
    archive.called_ae = "ELSE"
    with parrot(port) as bird:
        bird.say(encode_request(request(ECHO_CONTEXT, calling_ae="CANARY")))
        assert bird.hear() == (3, b"\0\1\1\7")
    wait_until(lambda: archive.events, 5, "the refusal is noted")
    assert [event.note for event in archive.events] == [Note.ASSOCIATION_REFUSED]
    assert "CANARY" not in archive.events[0].words


def test_the_same_image_from_two_associations_at_once(archive, port):
    data = data_set(pixel_bytes=200_000)
    answers = []

    def send() -> None:
        with associate(Party("127.0.0.1", port, "DGIS", "S"), [Proposal(CT, (EXPLICIT_LE,))]) as client:
            answers.append(client.store(client.context(CT), "1.2.3.4", [data]).status)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0] * 4
    assert archive.instances["1.2.3.4"].data == data


def test_a_service_that_fails_ends_that_association_only(archive, port):
    archive.sink = lambda _incoming: object()  # not a sink at all
    with parrot(port) as bird:
        bird.associate(CT_CONTEXT)
        bird.say(command(3, store_command("1.2.3.4")) + pdata(3, 2, data_set()))
        assert bird.hear_command().status == 0x0110
    archive.find = None
    assert good_client_is_served(port)


def test_a_large_image_leaves_memory_as_it_was(archive, port):
    archive.sink = lambda _incoming: NullSink()
    chunk = bytes(1 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with associate(Party("127.0.0.1", port, "DGIS", "S"), [Proposal(CT, (EXPLICIT_LE,))]) as client:
        head = data_set("1.2.3.4", pixel_bytes=0)
        pieces = [head, *([chunk] * 512)]
        assert client.store(client.context(CT), "1.2.3.4", pieces).status == 0
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 64 << 10


def test_a_stop_lets_a_running_store_finish_and_aborts_who_is_idle(archive):
    server = DicomServer(archive, SLOW_ENOUGH)
    port = server.listen("127.0.0.1", 0)
    data = data_set(pixel_bytes=100_000)
    message = command(3, store_command("1.2.3.4")) + pdata(3, 2, data)
    with parrot(port) as idle, parrot(port) as busy, parrot(port) as silent:
        idle.associate(ECHO_CONTEXT)
        busy.associate(CT_CONTEXT)
        silent.say(b"\1")
        busy.say(message[:50_000])
        wait_until(lambda: archive.incoming, 5, "the store has begun")
        stopped = []
        thread = threading.Thread(target=lambda: stopped.append(server.stop(8)))
        thread.start()
        assert idle.hear() == (7, bytes(4))
        assert silent.closed()
        with pytest.raises(OSError, match=r".*"):
            Parrot(port, 1)
        busy.say(message[50_000:])
        assert busy.hear_command().status == 0
        assert busy.hear() == (7, bytes(4))
        thread.join()
    assert stopped == [True]
    assert archive.instances["1.2.3.4"].data == data


def test_a_stop_does_not_wait_for_ever(archive):
    server = DicomServer(archive, SLOW_ENOUGH)
    port = server.listen("127.0.0.1", 0)
    with parrot(port) as bird:
        bird.associate(CT_CONTEXT)
        bird.say(command(3, store_command("1.2.3.4")) + pdata(3, 0, data_set()[:50]))
        wait_until(lambda: archive.incoming, 5, "the store has begun")
        began = time.monotonic()
        assert server.stop(0.3) is False
        assert time.monotonic() - began < 8
    assert archive.abandoned == 1


def test_several_ports(archive):
    server = DicomServer(archive, SLOW_ENOUGH)
    ports = [server.listen("127.0.0.1", 0), server.listen("127.0.0.1", 0)]
    assert all(good_client_is_served(port) for port in ports)
    assert server.stop(5)


def test_the_client_says_who_it_is(archive, port):
    terms = Terms(identity=UserIdentity(2, b"name", b"pass", response_requested=True))
    with associate(
        Party("127.0.0.1", port, "DGIS", "ME"), [Proposal(VERIFICATION, (IMPLICIT_LE,))], None, terms
    ) as client:
        assert client.echo() == 0
        assert client.accept.identity_response == b"response"
    attempt = archive.attempts[0]
    assert (attempt.called_ae, attempt.calling_ae, attempt.address) == ("DGIS", "ME", "127.0.0.1")
