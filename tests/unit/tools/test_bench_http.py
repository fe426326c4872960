"""The HTTP load of `make bench`: what it counts as answered, and what as failed."""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.bench.http import Asked, Connection, arrive, saturate

BODY = b"x" * 3000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        number = self.server.count()
        status = 503 if self.path == "/every-third" and number % 3 == 0 else 200
        self.send_response(status)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (BODY[:1000], BODY[1000:]):
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        short = self.path == "/short"
        self.wfile.write(BODY[:10] if short else BODY)
        self.close_connection = short

    def do_POST(self):
        assert self.rfile.read(int(self.headers["Content-Length"])) == BODY
        self.do_GET()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self._lock, self.asked = threading.Lock(), Counter()

    def count(self):
        with self._lock:
            self.asked["all"] += 1
            return self.asked["all"]


@pytest.fixture
def server():
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_connection_tells_how_long_an_answer_is(server):
    with Connection(server.server_address) as connection:
        assert connection.ask(Asked("/", {})) == len(BODY)
        assert connection.ask(Asked("/chunked", {})) == len(BODY)
        assert connection.ask(Asked("/", {}, "POST", BODY)) == len(BODY)


def test_an_answer_that_is_cut_short_is_none(server):
    with Connection(server.server_address) as connection, pytest.raises(ConnectionError, match="missing"):
        connection.ask(Asked("/short", {}))


def test_so_many_arrive_as_are_due_and_what_fails_is_counted(server):
    rush = arrive(server.server_address, Asked("/every-third", {}), 4, 300, 0.2)
    assert server.asked["all"] == 60
    assert (len(rush.latencies), rush.failed) == (40, 20)
    assert 0 < min(rush.latencies) <= rush.p99 <= max(rush.latencies)


def test_at_saturation_every_answer_counts_once(server):
    rush = saturate(server.server_address, Asked("/", {}), 3, 0.2)
    assert (len(rush.latencies), rush.failed) == (server.asked["all"], 0)
    assert rush.rate * rush.seconds == pytest.approx(len(rush.latencies))
