"""A relay in front of an object store that lies by script: short answers, made-up tags, lost answers."""

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_EMPTY = '"d41d8cd98f00b204e9800998ecf8427e"'
_PASSED_ON = {"content-length", "etag", "last-modified", "content-range", "content-type", "date"}


class Relay:
    """`fault(method, path)` names what goes wrong with a request, or None; it may be replaced.

    short: the answer ends half way. tag: another ETag. drop: no answer, after the server has done it. cut:
    the server gets nothing, and the client is told that all is well.
    """

    def __init__(self, host, port):
        self.target = (host, port)
        self.fault = lambda _method, _path: None
        self.endpoint = ""

    def ask(self, method, path, headers, body):
        link = http.client.HTTPConnection(*self.target, timeout=30)
        try:
            link.request(method, path, body, headers)
            answer = link.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            link.close()


@contextmanager
def relaying(port):
    """Yield a relay to a port on loopback."""
    relay = Relay("127.0.0.1", port)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(relay))
    server.daemon_threads = True
    relay.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(relay):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _relayed(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = relay.fault(self.command, self.path)
            if fault == "cut":
                self._answer(200, [("ETag", _EMPTY), ("Content-Length", "0")], b"")
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            status, answered, data = relay.ask(self.command, self.path, headers, body)
            self.close_connection = fault in {"short", "drop"}
            if fault != "drop":
                self._answer(
                    status, _told(answered, data, fault), data[: len(data) // 2] if fault == "short" else data
                )

        def _answer(self, status, headers, data):
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler._relayed)
    return Handler


def _told(answered, data, fault):
    kept = {name.lower(): value for name, value in answered if _is_kept(name)}
    kept.setdefault("content-length", str(len(data)))
    if fault == "tag":
        kept["etag"] = '"0123456789abcdef"'
    return kept.items()


def _is_kept(name):
    return name.lower() in _PASSED_ON or name.lower().startswith("x-amz-")
