"""A line to peers that behave badly; tests/engines has the one to a real repository."""

import socket
import threading
from contextlib import contextmanager

import pytest

from dgis.repository.configuration import parse_address
from dgis.repository.line import Line, LineError
from tests.gateway import wait_until


@contextmanager
def served(behave):
    """A listener that does `behave(connection)` for the first who comes; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            connection, _peer = listening.accept()
            with connection:
                behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield parse_address(f"syslog+tcp://127.0.0.1:{listening.getsockname()[1]}")
        thread.join(20)


def test_frames_arrive_one_after_another():
    got = bytearray()

    def receive(connection):
        while piece := connection.recv(4096):
            got.extend(piece)

    with served(receive) as address:
        line = Line(address, None)
        line.send([b"<85>1 first", b"<85>1 second"])
        line.close()
    assert bytes(got) == b"11 <85>1 first12 <85>1 second"


def test_a_peer_that_hangs_up_at_once_is_no_repository():
    with served(lambda connection: connection.close()) as address, pytest.raises(LineError, match="ended"):
        Line(address, None)


def test_an_end_is_noticed_before_anything_more_is_handed_over():
    may_end = threading.Event()

    def take_one(connection):
        connection.recv(4096)
        may_end.wait(20)

    with served(take_one) as address:
        line = Line(address, None)
        line.send([b"<85>1 first"])
        may_end.set()

        def ended():
            try:
                line.check()
            except LineError:
                return True
            return False

        wait_until(ended, 20, "the end is noticed")
        with pytest.raises(LineError):
            line.send([b"<85>1 second"])
        line.close()


def test_a_peer_that_talks_without_end_is_no_repository():
    def talk(connection):
        try:
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            return

    with served(talk) as address, pytest.raises(LineError, match="without end"):
        Line(address, None)


def test_nobody_listening_is_said_in_words():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(LineError, match="refused"):
        Line(parse_address(f"syslog+tcp://127.0.0.1:{port}"), None)


def test_nobody_listening_for_datagrams_is_noticed():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    line = Line(parse_address(f"syslog+udp://127.0.0.1:{port}"), None)
    with pytest.raises(LineError, match="refused"):  # noqa: PT012 (the first one may leave unheard)
        for _ in range(2):
            line.send([b"<85>1 lost"])
    line.close()
