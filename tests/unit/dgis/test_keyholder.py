import socket
import stat

import pytest

from dgis.keyholder import protocol
from dgis.keyholder.client import KeyholderClient, NotRestored, Restored
from dgis.keyholder.protocol import Identifiers, KeyholderGone, Keys
from dgis.keyholder.server import KeyholderServer
from storage_nodes.names import RecordKey

KEY = RecordKey("2.25.1.part")


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(restore):
        server = KeyholderServer(tmp_path / "run" / "keyholder.sock", restore, pseudonymise)
        server.start()
        servers.append(server)
        return KeyholderClient(tmp_path / "run" / "keyholder.sock")

    yield start
    for server in servers:
        server.stop()


def pseudonymise(who):
    return Keys(f"p{who.patient_id}", f"s{who.study_uid}", "e", "i")


def big_and_refused(request):
    for position in request.positions:
        if position == 1:
            yield NotRestored("its key was shredded")
        else:
            body = bytes([position]) * 3_000_000
            yield Restored(len(body), iter([memoryview(body[:7]), memoryview(body[7:])]))


def test_answers_come_whole_and_in_order(serve):
    answers = serve(big_and_refused).restore(KEY, [2, 1, 0])
    got = [
        answer.reason if isinstance(answer, NotRestored) else b"".join(answer.chunks) for answer in answers
    ]
    assert got == [b"\x02" * 3_000_000, "its key was shredded", b"\0" * 3_000_000]


def test_nobody_is_let_in_before_there_are_answers(tmp_path):
    """A door that waited within its transaction would keep the worker from ever getting ready."""
    server = KeyholderServer(tmp_path / "k", big_and_refused, pseudonymise)
    with pytest.raises(KeyholderGone):
        KeyholderClient(tmp_path / "k").pseudonyms([Identifiers("p", "", "s", "e", "i")])
    server.stop()


def test_pieces_may_be_gathered_before_they_are_used(serve):
    def restore(_request):
        body = b"".join(bytes([number]) * 300_000 for number in range(5))
        yield Restored(len(body), iter([memoryview(body)]))

    (answer,) = (list(each.chunks) for each in serve(restore).restore(KEY, [0]))
    assert b"".join(answer) == b"".join(bytes([number]) * 300_000 for number in range(5))


def test_an_answer_that_is_not_read_is_skipped(serve):
    answers = list(serve(big_and_refused).restore(KEY, [5, 1]))
    assert isinstance(answers[0], Restored)
    assert answers[1] == NotRestored("its key was shredded")


def test_pseudonyms_come_in_one_answer(serve):
    client = serve(big_and_refused)
    of = [Identifiers("", f"{number}", "9", "8", "7") for number in range(1000)]
    assert client.pseudonyms(of)[999] == Keys("p999", "s9", "e", "i")


def test_no_worker_is_said_in_words(tmp_path):
    with pytest.raises(KeyholderGone, match="is one running"):
        next(KeyholderClient(tmp_path / "nobody").restore(KEY, [0]))


def test_a_worker_that_dies_half_way_is_noticed_and_others_are_still_served(serve):
    def restore(request):
        if request.positions == (9,):
            raise RuntimeError("patient data in here must not matter")
        yield from big_and_refused(request)

    client = serve(restore)
    with pytest.raises(KeyholderGone):
        next(client.restore(KEY, [9]))
    assert isinstance(next(client.restore(KEY, [1])), NotRestored)


def test_a_home_may_lie_deep(tmp_path):
    path = tmp_path / ("d" * 100) / "run" / "keyholder.sock"
    server = KeyholderServer(path, big_and_refused, pseudonymise)
    server.start()
    who = Identifiers("", "1", "2", "3", "4")
    try:
        assert KeyholderClient(path).pseudonyms([who]) == [pseudonymise(who)]
    finally:
        server.stop()


def test_only_the_owner_may_connect(serve, tmp_path):
    serve(big_and_refused)
    assert stat.S_IMODE((tmp_path / "run" / "keyholder.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\0\0\0\x02{}", b"\0\0\0\x01x", b"\0\0"])
def test_nonsense_on_the_socket_ends_that_connection_only(serve, tmp_path, sent):
    client = serve(big_and_refused)
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(tmp_path / "run" / "keyholder.sock"))
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(1) == b""
    assert isinstance(next(client.restore(KEY, [1])), NotRestored)


def test_positions_are_whole_numbers():
    left, right = socket.socketpair()
    with left, right:
        body = b'{"restore": "a", "positions": ["x"]}'
        left.sendall(len(body).to_bytes(4, "big") + body)
        with pytest.raises(ValueError, match="no request"):
            protocol.receive_request(right)


def test_the_first_worker_stops_after_the_second_began(tmp_path):
    path = tmp_path / "keyholder.sock"
    first = KeyholderServer(path, big_and_refused, pseudonymise)
    first.start()
    second = KeyholderServer(path, big_and_refused, pseudonymise)
    second.start()
    first.stop()
    assert isinstance(next(KeyholderClient(path).restore(KEY, [1])), NotRestored)
    second.stop()


def test_no_descriptor_for_a_moment_does_not_end_the_service(serve, monkeypatch):
    client = serve(big_and_refused)
    accept, failures = socket.socket.accept, [OSError(24, "too many open files")] * 2

    def failing(listener):
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", failing)
    for _ in range(3):  # the accept under way when it was replaced, and those after it
        assert isinstance(next(client.restore(KEY, [1])), NotRestored)
    assert failures == []
