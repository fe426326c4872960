"""The web door of a whole gateway: open pages, bad clients, the end, and what it leaves behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.canary import Hunt
from tests.gateway import STOP_SECONDS, Gateway, wait_until

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-web")]

MEGABYTE = 1 << 20
HALF_A_REQUEST = b"POST /api/credential HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
CANARIES = ("Kanarienvogel^Zitronengelb", "KANARIE-4711", "1.2.826.0.1.3680043.8.498.47114711")


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as gateway:
        yield gateway


def address(gateway):
    host, _, port = gateway.web.removeprefix("http://").rpartition(":")
    return host, int(port)


def memory_bytes(pid):
    fields = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in fields.splitlines() if line.startswith("VmRSS"))


def test_the_open_pages_tell_whether_and_nothing_else(gateway):
    assert httpx.get(f"{gateway.web}/healthz").json() == {"status": "alive"}
    assert httpx.get(f"{gateway.web}/readyz").json() == {"status": "ready", "missing": [], "words": []}


def test_what_is_not_open_asks_who_it_is(gateway):
    described = httpx.get(f"{gateway.web}/api/openapi.json").json()
    open_paths = {"/healthz", "/readyz", "/metrics", "/api/credential/root", "/api/saml/acs"}
    for path, methods in described["paths"].items():
        for method in methods:
            if path not in open_paths:
                body = {"study": "1.2.3"} if path == "/api/explain" else {}
                answer = httpx.request(method, gateway.web + path, json=body if method == "post" else None)
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"]


def test_without_a_worker_it_says_so_and_answers(gateway):
    pid = gateway.role_pid("worker")
    (gateway.home / "run" / "keyholder.sock").rename(gateway.home / "run" / "away.sock")
    try:
        wait_until(
            lambda: httpx.get(f"{gateway.web}/readyz").json()["missing"] == ["worker"],
            20,
            "the worker is missing",
        )
        answer = httpx.post(f"{gateway.web}/api/credential", json={}, auth=("dr-no", "x"))
        assert (answer.status_code, answer.json()["reason"]) == (503, "worker_away")
    finally:
        (gateway.home / "run" / "away.sock").rename(gateway.home / "run" / "keyholder.sock")
    assert gateway.role_pid("worker") == pid


BAD = {
    "a body without end": b"POST /api/credential HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"10000\r\n" + b" " * 65536 + b"\r\n",
    "fields without end": b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 65536,
    "fields, many": b"GET / HTTP/1.1\r\n" + b"X-Many: 1\r\n" * 5000,
    "half a body": b"POST /api/credential HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{",
    "a huge length": b"POST /api/credential HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n",
    "nested JSON": b"POST /api/explain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000,
    "two requests in one": b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/caller HTTP/1.1\r\nHost: x\r\n\r\n",
    "noise": bytes(range(256)) * 64,
    "a path trick": b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "zero bytes": b"GET /%00%ff%0d%0aSet-Cookie:x HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_client_hinders_nobody(gateway, case):
    """Twenty of them at once, some going on as long as they are let; a good client is served meanwhile."""
    pid = gateway.role_pid("web")
    before = memory_bytes(pid)
    stop = threading.Event()

    def behave_badly():
        with socket.create_connection(address(gateway), timeout=5) as connection:
            try:
                connection.sendall(BAD[case])
                while case in {"a body without end", "fields without end"} and not stop.is_set():
                    connection.sendall(BAD[case][-4096:])
                stop.wait(10)
            except OSError:
                pass

    clients = [threading.Thread(target=behave_badly) for _ in range(20)]
    for each in clients:
        each.start()
    answers = [httpx.get(f"{gateway.web}/healthz", timeout=5).status_code for _ in range(3)]
    after = memory_bytes(pid)
    stop.set()
    for each in clients:
        each.join(30)
    assert answers == [200] * 3
    assert after - before < 200 * MEGABYTE
    assert gateway.role_pid("web") == pid
    assert "child_died" not in gateway.log()


def test_a_crowd_of_silent_connections_keeps_nobody_out(gateway):
    silent = [socket.create_connection(address(gateway)) for _ in range(400)]
    assert httpx.get(f"{gateway.web}/healthz", timeout=5).status_code == 200
    for each in silent:
        each.close()


def test_a_flood_of_refusals_is_counted_in_few_rows(gateway):
    def rows():
        entries = gateway.json("audit", "list", "--event", "login", "--limit", "1000")
        return [entry for entry in entries if entry["detail"].get("reason") == "malformed"]

    before = sum(entry["count"] for entry in rows())
    with httpx.Client() as client:
        for _ in range(200):
            client.get(f"{gateway.web}/api/caller", headers={"Authorization": "Bearer x"})
    wait_until(lambda: sum(entry["count"] for entry in rows()) == before + 200, 30, "all are counted")
    assert len(rows()) < 100


def test_what_clients_send_is_nowhere_in_what_the_door_writes(gateway):
    """In paths, queries, fields, bodies, names: none is in the log, in answers or in the door's file."""
    name, number, uid = CANARIES
    answers = [
        httpx.get(f"{gateway.web}/{number}/{uid}", params={"PatientName": name}),
        httpx.get(f"{gateway.web}/api/explain", params={"study": uid, "name": name}),
        httpx.post(f"{gateway.web}/api/explain", json={"study": name, number: uid}),
        httpx.post(f"{gateway.web}/api/explain", content=f"{{{name} {number}", auth=(name, number)),
        httpx.post(f"{gateway.web}/api/credential", json={"request": name, "assertion": number}),
        httpx.post(f"{gateway.web}/api/saml/acs", data={"SAMLResponse": name, "RelayState": number}),
        httpx.get(f"{gateway.web}/api/caller", headers={"Authorization": f"Bearer {number}.{uid}"}),
        httpx.get(f"{gateway.web}/api/caller", auth=(name, number)),
        httpx.request(name.replace("^", ""), f"{gateway.web}/{uid}", headers={"X-Patient": number}),
    ]
    hunt = Hunt(CANARIES)
    assert not [answer.url.path for answer in answers if hunt.find(answer.content)]
    assert all(400 <= answer.status_code < 500 for answer in answers), [a.status_code for a in answers]
    assert not hunt.find(gateway.log().encode())
    assert not hunt.find((gateway.home / "run" / "web.json").read_bytes())


def test_it_ends_in_time_with_clients_that_do_not():
    with Gateway() as gateway:
        with ExitStack() as slow:
            for sent in (b"", b"GET /healthz HT", HALF_A_REQUEST):
                slow.enter_context(socket.create_connection(address(gateway))).sendall(sent)
            assert gateway.stop() == 0
        assert "killed_after_deadline" not in gateway.log()


def test_it_runs_alone(gateway):
    """Another web door over the same home and database, and its worker."""
    environment = {**gateway._environment(), "DGIS__WEB__PORT": "0"}
    said = gateway.home / "run" / "web.json"
    before = said.read_text()
    command = [sys.executable, "-m", "dgis", "serve", "--home", str(gateway.home), "--role", "web"]
    alone = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: said.read_text() != before, 60, "it says where it listens")
        url = json.loads(said.read_text())["web"]
        assert httpx.get(f"{url}/readyz").status_code == 200
        os.kill(alone.pid, signal.SIGTERM)
        assert alone.wait(STOP_SECONDS) == 0
    finally:
        alone.kill()
        alone.wait()
        said.write_text(before)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"DGIS__WEB__HOST": "0.0.0.0"}, "tokens would cross the network in clear"),
        ({"DGIS__WEB__TLS_KEY": "/nowhere"}, "belong together"),
        ({"DGIS__WEB__TLS_CLIENT_CA": "/nowhere"}, "needs tls_certificate"),
        (
            {"DGIS__WEB__TLS_KEY": "/nowhere", "DGIS__WEB__TLS_CERTIFICATE": "/nowhere"},
            "web: tls_certificate",
        ),
    ],
)
def test_what_cannot_be_served_safely_is_not_served(tmp_path, settings, words):
    environment = {**os.environ, **settings, "DGIS__WEB__PORT": "0"}
    command = [sys.executable, "-m", "dgis", "serve", "--home", str(tmp_path), "--role", "web"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert words in " ".join((done.stdout + done.stderr).split())
