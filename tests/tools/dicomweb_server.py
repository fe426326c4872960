"""A small DICOMweb server for tests of clients (PS3.18 10.4, 10.6): holds data sets, fails on demand."""

import io
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag, tag_for_keyword

PREFIX = "/dicom-web"
PAGE = 7  # fewer than any client asks for
_KEYS = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID", "instances": "SOPInstanceUID"}
_BOUNDARY = "a boundary of the test"


class DicomwebServer:
    """Serves files; `faults` maps a path to answers that come before the right one.

    A fault is a status, or "cut": the right answer, ended half way.
    """

    def __init__(self, files, *, token=None):
        self.files = [raw if isinstance(raw, bytes) else raw.read_bytes() for raw in files]
        self.datasets = [dcmread(io.BytesIO(raw), stop_before_pixels=True) for raw in self.files]
        self.token = token
        self.unmatched = set()
        self.may = ["find", "retrieve"]
        self.faults = {}
        self.asked = Counter()
        self._lock = threading.Lock()

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer._answer(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def bytes_of(self, uid):
        """The file of an instance as it was given."""
        return next(
            raw for raw, one in zip(self.files, self.datasets, strict=True) if one.SOPInstanceUID == uid
        )

    def _answer(self, request):
        address = urlsplit(request.path)
        with self._lock:
            self.asked[address.path] += 1
            fault = next(iter(self.faults.get(address.path, ())), None)
            if fault:
                self.faults[address.path].pop(0)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return self._problem(request, 401, "no login that is known")
        if isinstance(fault, int):
            return self._problem(request, fault, "as the test wants it")
        if address.path == "/api/caller":
            said = {"name": "test", "assertions": {}, "may": self.may}
            return self._send(request, 200, "application/json", json.dumps(said).encode())
        parts = address.path.removeprefix(f"{PREFIX}/").split("/")
        named = dict(zip(parts[::2], parts[1::2], strict=False))
        chosen = [
            n for n, one in enumerate(self.datasets) if self._is(one, {_KEYS[k]: v for k, v in named.items()})
        ]
        if len(parts) % 2:
            return self._search(request, chosen, parts[-1], parse_qsl(address.query))
        return self._instances(request, chosen, cut=fault == "cut")

    def _search(self, request, chosen, level, query):
        asked = dict(query)
        limit, offset = min(int(asked.pop("limit", PAGE)), PAGE), int(asked.pop("offset", 0))
        included = asked.pop("includefield", "").split(",")
        left = [name for name in list(asked) if name in self.unmatched and asked.pop(name)]
        warning = f'299 test "These attributes are not matched by and were left out: {left}"' if left else ""
        found = {}
        for number in chosen:
            one = self.datasets[number]
            if self._is(one, asked):
                found.setdefault(one[_KEYS[level]].value, one)
        words = [*_KEYS.values(), *included, *asked]
        tags = {tag_for_keyword(word) for word in words if word}
        rows = [
            {f"{each.tag:08X}": each.to_json_dict(None, 0) for each in one if each.tag in tags}
            for one in list(found.values())[offset : offset + limit]
        ]
        if not rows:
            request.send_response(204)
            request.end_headers()
            return
        self._send(request, 200, "application/dicom+json", json.dumps(rows).encode(), warning=warning)

    def _instances(self, request, chosen, *, cut):
        if not chosen:
            return self._problem(request, 404, "nothing by that name")
        body = b"".join(
            f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + self.files[n] + b"\r\n"
            for n in chosen
        )
        body += f"--{_BOUNDARY}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary="{_BOUNDARY}"'
        return self._send(request, 200, kind, body, sent=len(body) // 2 if cut else None)

    def _problem(self, request, status, detail):
        body = json.dumps({"type": "about:blank", "status": status, "detail": detail}).encode()
        self._send(request, status, "application/problem+json", body)

    def _send(self, request, status, kind, body, *, sent=None, warning=""):
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        if warning:
            request.send_header("Warning", warning)
        request.end_headers()
        request.wfile.write(body[:sent])

    def _is(self, dataset, wanted):
        for word, value in wanted.items():
            keyword = word if tag_for_keyword(word) else keyword_for_tag(word)
            if str(dataset.get(keyword, "")) not in value.split(","):
                return False
        return True
