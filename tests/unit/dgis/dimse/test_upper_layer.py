"""What the state machine does on a real connection, for each state we can be in and each PDU."""

import socket
import threading
from contextlib import contextmanager

import pytest

from dgis.dimse.associate import encode_accept, encode_request
from dgis.dimse.endings import AssociationEndedError, EndingKind
from dgis.dimse.limits import Limits
from dgis.dimse.pdu import LOCAL_LIMIT_EXCEEDED, RELEASE_RP, RELEASE_RQ, encode_abort, encode_rejection
from dgis.dimse.proposal import AssociateAccept, ContextResult
from dgis.dimse.states import Role, State
from dgis.dimse.transport import transport_of
from dgis.dimse.uids import APPLICATION_CONTEXT, IMPLICIT_LE
from dgis.dimse.upper_layer import UpperLayer
from dgis.dimse.wire import Wire
from tests.unit.dgis.dimse.parrot import ECHO_CONTEXT, pdata, request

LIMITS = Limits(
    artim_seconds=0.4, idle_seconds=0.4, close_seconds=0.3, response_seconds=0.4, max_pdu_bytes=4096
)
ACCEPT = AssociateAccept((ContextResult(1, 0, IMPLICIT_LE),), 16_384)
PDUS = {
    "request": encode_request(request(ECHO_CONTEXT)),
    "accept": encode_accept(ACCEPT, APPLICATION_CONTEXT),
    "reject": encode_rejection(LOCAL_LIMIT_EXCEEDED),
    "data": pdata(1, 3, b"12345678"),
    "release": RELEASE_RQ,
    "release-reply": RELEASE_RP,
    "abort": encode_abort(2, 6),
    "unknown": b"\x63\0\0\0\0\0",
}


class Peer:
    """The other end of a connection to an `UpperLayer`."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def say(self, name: str) -> None:
        self.socket.sendall(PDUS[name])

    def hears(self) -> bytes:
        """All that comes until the other side closes."""
        heard = b""
        try:
            while piece := self.socket.recv(65_536):
                heard += piece
        except ConnectionResetError:
            pass
        return heard

    def hangs_up(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)


@contextmanager
def connected(role: Role, limits: Limits = LIMITS):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), timeout=5)
        ours, _ = listener.accept()
    wire = Wire(transport_of(ours, limits.tick_seconds), limits)
    try:
        yield UpperLayer(wire, role, limits), Peer(theirs)
    finally:
        wire.close()
        theirs.close()


def ending(call) -> EndingKind:
    with pytest.raises(AssociationEndedError) as raised:
        call()
    return raised.value.ending.kind


def accepted(upper: UpperLayer, peer: Peer) -> None:
    peer.say("request")
    upper.await_request()
    upper.accept(ACCEPT, APPLICATION_CONTEXT)
    assert peer.socket.recv(65_536)[0] == 2


def requested(upper: UpperLayer, peer: Peer) -> None:
    peer.say("accept")
    upper.request(request(ECHO_CONTEXT))
    assert peer.socket.recv(65_536)[0] == 1


@pytest.mark.parametrize("name", ["accept", "reject", "data", "release", "release-reply", "unknown"])
def test_before_the_request_anything_else_is_aborted_as_the_user(name):
    with connected(Role.ACCEPTOR) as (upper, peer):
        peer.say(name)
        peer.hangs_up()
        assert ending(upper.await_request) is EndingKind.VIOLATION
        assert peer.hears() == encode_abort(0)


def test_before_the_request_an_abort_or_the_end_just_closes():
    for act in (lambda peer: peer.say("abort"), Peer.hangs_up):
        with connected(Role.ACCEPTOR) as (upper, peer):
            act(peer)
            assert ending(upper.await_request) in (EndingKind.PEER_ABORTED, EndingKind.CLOSED)
            assert peer.hears() == b""
            assert upper.state is State.IDLE


def test_the_artim_timer_ends_a_silent_connection():
    with connected(Role.ACCEPTOR) as (upper, peer):
        peer.socket.sendall(PDUS["request"][:20])
        assert ending(upper.await_request) is EndingKind.TOO_SLOW
        assert peer.hears() == b""


def test_a_rejection_is_heard_before_the_connection_closes():
    with connected(Role.ACCEPTOR) as (upper, peer):
        peer.say("request")
        upper.await_request()
        peer.hangs_up()
        assert upper.reject(LOCAL_LIMIT_EXCEEDED).ending.kind is EndingKind.REJECTED
        assert peer.hears() == encode_rejection(LOCAL_LIMIT_EXCEEDED)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", ["request", "accept", "reject", "release-reply", "unknown"])
def test_on_a_standing_association_what_is_out_of_turn_is_aborted_as_the_provider(role, name):
    with connected(role) as (upper, peer):
        (accepted if role is Role.ACCEPTOR else requested)(upper, peer)
        peer.say(name)
        peer.hangs_up()
        assert ending(upper.next_data) is EndingKind.VIOLATION
        reason = 1 if name == "unknown" else 2
        assert peer.hears() == encode_abort(2, reason)


@pytest.mark.parametrize("role", Role)
def test_data_passes_and_a_release_is_confirmed(role):
    with connected(role) as (upper, peer):
        (accepted if role is Role.ACCEPTOR else requested)(upper, peer)
        peer.say("data")
        assert upper.next_data()[1] == 14
        upper.send_data([PDUS["data"]])
        peer.say("release")
        peer.hangs_up()
        assert ending(upper.next_data) is EndingKind.RELEASED
        assert peer.hears() == PDUS["data"] + RELEASE_RP
        assert upper.state is State.IDLE


def test_an_abort_of_the_peer_ends_everything_without_an_answer():
    with connected(Role.ACCEPTOR) as (upper, peer):
        accepted(upper, peer)
        peer.say("abort")
        assert ending(upper.next_data) is EndingKind.PEER_ABORTED
        assert peer.hears() == b""


def test_after_our_abort_what_comes_is_passed_over_but_a_new_request_is_aborted_again():
    with connected(Role.ACCEPTOR) as (upper, peer):
        accepted(upper, peer)
        for name in ("data", "release", "request"):
            peer.say(name)
        peer.hangs_up()
        upper.abort()
        assert peer.hears() == encode_abort(0) + encode_abort(2, 2)


def test_after_our_abort_a_peer_that_stays_is_left_after_a_while():
    with connected(Role.ACCEPTOR) as (upper, peer):
        accepted(upper, peer)
        upper.abort()
        assert upper.state is State.IDLE
        assert peer.hears() == encode_abort(0)


@pytest.mark.parametrize("name", ["request", "data", "release", "release-reply", "unknown"])
def test_as_requestor_another_answer_than_yes_or_no_is_aborted(name):
    with connected(Role.REQUESTOR) as (upper, peer):
        peer.say(name)
        peer.hangs_up()
        assert ending(lambda: upper.request(request(ECHO_CONTEXT))) is EndingKind.VIOLATION
        assert peer.hears().endswith(encode_abort(2, 1 if name == "unknown" else 2))


def test_as_requestor_a_rejection_says_why():
    with connected(Role.REQUESTOR) as (upper, peer):
        peer.say("reject")
        with pytest.raises(AssociationEndedError) as raised:
            upper.request(request(ECHO_CONTEXT))
        assert raised.value.ending.rejection == LOCAL_LIMIT_EXCEEDED


def test_as_requestor_we_wait_for_the_release_and_pass_over_late_data():
    with connected(Role.REQUESTOR) as (upper, peer):
        requested(upper, peer)
        peer.say("data")
        peer.say("release-reply")
        upper.release()
        assert upper.state is State.IDLE
        assert peer.hears() == RELEASE_RQ


def test_a_release_that_is_not_answered_is_aborted():
    with connected(Role.REQUESTOR) as (upper, peer):
        requested(upper, peer)
        assert ending(upper.release) is EndingKind.TOO_SLOW
        assert peer.hears() == RELEASE_RQ + encode_abort(0)


def test_colliding_releases_as_requestor_answer_first():
    with connected(Role.REQUESTOR) as (upper, peer):
        requested(upper, peer)
        peer.say("release")
        peer.say("release-reply")
        upper.release()
        assert peer.hears() == RELEASE_RQ + RELEASE_RP


def test_colliding_releases_as_acceptor_wait_first():
    with connected(Role.ACCEPTOR) as (upper, peer):
        accepted(upper, peer)
        peer.say("release")
        peer.say("release-reply")
        peer.hangs_up()
        upper.release()
        assert peer.hears() == RELEASE_RQ + RELEASE_RP
        assert upper.state is State.IDLE


@pytest.mark.parametrize(
    "head",
    [
        b"\4\0\xff\xff\xff\xf0",
        b"\4\0\0\0\0\0",
        b"\4\0\0\0\0\5",
        b"\4\0\0\0\x20\0",
        b"\5\0\0\1\0\0",
        b"\1\0\xff\xff\xff\xff",
    ],
)
def test_a_length_is_judged_before_one_byte_more_is_waited_for(head):
    with connected(Role.ACCEPTOR) as (upper, peer):
        accepted(upper, peer)
        peer.socket.sendall(head)
        peer.hangs_up()
        assert ending(upper.next_data) is EndingKind.VIOLATION
        assert peer.hears() == encode_abort(2, 6)


def test_a_thread_that_waits_is_woken_and_aborts_when_the_gateway_stops():
    limits = Limits(idle_seconds=30, close_seconds=0.3)
    with connected(Role.ACCEPTOR, limits) as (upper, peer):
        accepted(upper, peer)
        kinds = []
        thread = threading.Thread(target=lambda: kinds.append(ending(upper.next_data)))
        thread.start()
        upper.stopping = True
        upper._wire.wake()
        thread.join(5)
        assert kinds == [EndingKind.ABORTED]
        assert peer.hears() == encode_abort(0)
