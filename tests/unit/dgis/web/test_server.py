import socket
import threading
from contextlib import contextmanager

import httpx
import pytest
import structlog
from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from dgis.web.application import application
from dgis.web.limits import Limits
from dgis.web.problems import Problem
from dgis.web.server import WebServer
from tests.gateway import wait_until

QUICK = Limits(
    max_connections=4,
    header_seconds=0.5,
    body_bytes=1000,
    body_grace_seconds=0.5,
    stalled_seconds=0.5,
    drain_seconds=5,
)
SECRET = "DOE^JANE"


class Release(threading.Event):
    """Lets the slow route go on; `reached` says that it waits."""

    def __init__(self):
        super().__init__()
        self.reached = threading.Event()


def routes(release):  # noqa: C901 (one route a trouble)
    router = APIRouter()

    @router.get("/quick")
    async def quick():
        return {"said": "quick"}

    @router.post("/echo")
    async def echo(request: Request):
        return {"bytes": len(await request.body())}

    @router.get("/slow")
    def slow():
        release.reached.set()
        assert release.wait(30)
        return {"said": "slow"}

    @router.get("/long")
    def long():
        def pieces():
            yield b"begun"
            assert release.wait(30)
            yield b" and done"

        return StreamingResponse(pieces())

    @router.get("/broken/{name}")
    def broken(name: str):
        raise RuntimeError(f"cannot read {name}")

    @router.get("/refused")
    def refused():
        raise Problem(403, "not_yours", "this is not yours", {"X-Why": "because"})

    @router.get("/half")
    def half():
        def pieces():
            yield b"x" * 10
            raise RuntimeError(SECRET)

        return StreamingResponse(pieces(), headers={"Content-Length": "20"})

    @router.get("/huge")
    def huge():
        return StreamingResponse(b"x" * (1 << 20) for _ in range(64))

    @router.get("/typed")
    def typed(number: int):
        return number

    return router


def storing():
    router = APIRouter(prefix="/dicom-web/studies")

    @router.post("")
    @router.post("/{study}")
    async def store(request: Request):
        return {"bytes": len(await request.body())}

    return router


@contextmanager
def serving(limits=QUICK):
    heard, release = [], Release()
    app = application(
        [routes(release), storing()], limits, lambda address, reason: heard.append((address, reason))
    )
    server = WebServer(app, limits, lambda address: heard.append((address, "garbled")))
    server.heard, server.release = heard, release
    server.port = server.listen("127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        release.set()
        server.stop()


@pytest.fixture(autouse=True)
def log():
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
def server(log):
    with serving() as server:
        yield server


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def ended(connection):
    """Everything that came before the end; fails where the end does not come."""
    with connection:
        pieces = []
        try:
            while piece := connection.recv(65536):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        return b"".join(pieces)


@pytest.mark.parametrize("sent", [b"", b"GET /quick HTTP/1.1\r\nHost: x\r\nX-Slow"])
def test_fields_that_do_not_end_end_the_connection(server, sent):
    connection = connect(server)
    connection.sendall(sent)
    assert ended(connection) == b""


def test_a_client_that_has_its_answer_and_says_no_more_is_cut(server):
    connection = connect(server)
    connection.sendall(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\nGET /quick HT")
    assert ended(connection).count(b"200 OK") == 1


def test_a_body_that_does_not_come_is_answered_and_not_waited_for(server):
    connection = connect(server)
    connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
    said = ended(connection)
    assert b"408" in said
    assert b"application/problem+json" in said
    wait_until(lambda: ("127.0.0.1", "too_slow") in server.heard, 10, "it is told of")


def test_a_body_that_came_fast_may_not_then_be_silent_for_long():
    """The lowest rate is an average: after much it would allow long silence."""
    with serving(Limits(store_bytes=1 << 20, body_idle_seconds=0.5)) as server:
        connection = connect(server)
        announced = b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(announced + bytes(900_000))
        assert b"408" in ended(connection)


def test_only_a_body_that_stores_may_be_long(server):
    for path, status in (
        (b"/echo", b"413"),
        (b"/dicom-web/studies/1.2/3", b"413"),
        (b"/dicom-web/studies/1.2", b"200"),
    ):
        connection = connect(server)
        connection.sendall(
            b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5000\r\n\r\n"
        )
        connection.sendall(bytes(5000))
        assert status in ended(connection).partition(b"\r\n")[0]


def test_a_body_that_is_too_long_is_refused_before_it_is_read(server):
    connection = connect(server)
    connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
    assert b"413" in ended(connection)


def test_a_body_without_a_length_is_refused_where_it_becomes_too_long(server):
    answer = httpx.post(f"{server.url}/echo", content=iter([b"x" * 600, b"y" * 600]))
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_long")


def test_a_body_within_the_bounds_is_taken(server):
    assert httpx.post(f"{server.url}/echo", content=b"x" * 1000).json() == {"bytes": 1000}


def test_an_answer_may_take_longer_than_a_body(server):
    """The framework waits for the client's leaving meanwhile, which is no body that comes too slowly."""
    threading.Timer(3 * QUICK.body_grace_seconds, server.release.set).start()
    assert httpx.get(f"{server.url}/long", timeout=30).text == "begun and done"
    assert server.heard == []


def test_a_client_that_does_not_take_its_answer_is_cut(server):
    connection = connect(server)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
    connections = server._server.server_state.connections
    wait_until(lambda: connections, 10, "it is connected")
    wait_until(lambda: not connections, 20, "it was cut")
    connection.close()


def test_silent_connections_give_way_to_a_client_that_asks():
    with serving(Limits(max_connections=4)) as server:
        silent = [connect(server) for _ in range(12)]
        for _ in range(3):
            assert httpx.get(f"{server.url}/quick").status_code == 200
        assert ended(silent[0]) == b""
        for each in silent:
            each.close()


def test_who_sends_a_body_slowly_gives_way_too():
    with serving(Limits(max_connections=4)) as server:
        slow = [connect(server) for _ in range(4)]
        for each in slow:
            each.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1")
        connections = server._server.server_state.connections
        wait_until(lambda: sum(each.waits_for_body for each in connections) == 4, 10, "all have begun")
        assert httpx.get(f"{server.url}/quick").status_code == 200
        for each in slow:
            each.close()


def test_whoever_waits_for_an_answer_gets_it_and_one_too_many_is_turned_away():
    with serving(Limits(max_connections=2)) as server:
        asking = [connect(server) for _ in range(2)]
        for each in asking:
            each.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        connections = server._server.server_state.connections
        wait_until(lambda: sum(not each.waits_for_fields for each in connections) == 2, 10, "both have asked")
        assert ended(connect(server)) == b""
        server.release.set()
        assert all(b"200 OK" in ended(each) for each in asking)


def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_fields(server):
    with httpx.Client() as client:
        client.get(f"{server.url}/quick")
        (connection,) = server._server.server_state.connections
        held = connection.transport.get_extra_info("socket")
        assert held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_credential_of_60_kb_fits_the_fields(server):
    answer = httpx.get(f"{server.url}/quick", headers={"Authorization": "Bearer " + "x" * 60_000})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /quick HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no HTTP at all\r\n\r\n",
        b"GET /quick HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"GET /quick HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
    ids=["long fields", "TLS on the plain port", "negative length", "two lengths", "strange coding"],
)
def test_what_is_no_http_is_refused_and_told_of(server, sent):
    connection = connect(server)
    connection.sendall(sent)
    said = ended(connection)
    assert said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) or said == b""
    wait_until(lambda: ("127.0.0.1", "garbled") in server.heard, 10, "it is told of")
    assert httpx.get(f"{server.url}/quick").status_code == 200


def test_a_failure_is_answered_without_words_and_logged_without_values(server, log):
    answer = httpx.get(f"{server.url}/broken/{SECRET}?name={SECRET}")
    wait_until(lambda: [each for each in log if each["event"] == "request_failed"], 10, "it is logged")
    assert (answer.status_code, answer.json()["reason"]) == (500, "failed")
    assert SECRET not in answer.text
    (line,) = [each for each in log if each["event"] == "request_failed"]
    assert (line["method"], line["route"]) == ("GET", "/broken/{name}")
    assert SECRET not in str({name: value for name, value in line.items() if name != "exc_info"})


def test_a_failure_half_way_is_seen_by_the_client(server):
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{server.url}/half")


def test_a_refusal_is_a_problem_document(server):
    answer = httpx.get(f"{server.url}/refused")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-why"] == "because"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "reason": "not_yours",
        "detail": "this is not yours",
    }


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/none", 404), ("DELETE", "/quick", 405), ("GET", "/quick/", 404)]
)
def test_what_there_is_not_is_a_problem_document(server, method, path, status):
    answer = httpx.request(method, server.url + path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_malformed_request_is_told_where_but_not_what(server):
    answer = httpx.get(f"{server.url}/typed", params={"number": SECRET})
    assert (answer.status_code, answer.json()["detail"]) == (422, "query.number: int parsing")
    assert "DOE" not in answer.text


def test_every_answer_forbids_keeping_and_framing(server):
    for path in ("/quick", "/none", "/refused"):
        headers = httpx.get(server.url + path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_stopping_lets_what_runs_end(server):
    answers = []
    asking = threading.Thread(target=lambda: answers.append(httpx.get(f"{server.url}/slow", timeout=30)))
    asking.start()
    assert server.release.reached.wait(30)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    wait_until(lambda: refused(server), 10, "nothing new is accepted")
    server.release.set()
    asking.join(30)
    stopping.join(30)
    assert answers[0].json() == {"said": "slow"}


def refused(server):
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    except OSError:
        return True
    return False


def test_a_port_that_is_taken_is_an_error(server):
    with pytest.raises(OSError, match="in use"):
        WebServer(lambda *_: None, QUICK).listen("127.0.0.1", server.port)
