import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from joserfc.jwk import KeySet

from catalog.credentials.issuers import KeysAway
from dgis.identity.keys import FileKeys, JwksKeys, over_http
from tests.unit.catalog.credentials.makers import KEY, OTHER_KEY

JWKS = json.dumps(KeySet([KEY]).as_dict(private=False)).encode()


class Provider:
    """An identity provider on loopback that answers with what a test puts into `pages`."""

    def __init__(self):
        provider = self
        self.pages, self.asked = {}, []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.asked.append(self.path)
                status, body = provider.pages.get(self.path, (404, b""))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body.decode())
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def provider():
    provider = Provider()
    found = {"issuer": provider.uri, "jwks_uri": f"{provider.uri}/jwks"}
    provider.pages = {
        "/.well-known/openid-configuration": (200, json.dumps(found).encode()),
        "/jwks": (200, JWKS),
    }
    yield provider
    provider.close()


def test_keys_are_found_by_discovery(provider):
    assert [key.kid for key in over_http(provider.uri, None, None)().keys] == ["k1"]
    assert provider.asked == ["/.well-known/openid-configuration", "/jwks"]


def test_keys_are_had_from_where_they_are_said_to_be(provider):
    assert [key.kid for key in over_http(provider.uri, f"{provider.uri}/jwks", None)().keys] == ["k1"]
    assert provider.asked == ["/jwks"]


@pytest.mark.parametrize(
    "page",
    [
        (500, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"issuer": "https://other.example", "jwks_uri": "https://other.example/jwks"}'),
        (200, b'{"jwks_uri": 1}'),
        (200, b'{"a": "' + b"x" * (2 << 20) + b'"}'),
        (302, b"http://127.0.0.1:1/elsewhere"),
    ],
)
def test_a_discovery_document_that_is_not_right_gives_no_keys(provider, page):
    provider.pages["/.well-known/openid-configuration"] = page
    with pytest.raises(KeysAway):
        over_http(provider.uri, None, None)()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"keys": 3}', b'{"keys": [{"kty": "RSA"}]}', b"\xff"])
def test_a_key_set_that_is_none_gives_no_keys(provider, body):
    provider.pages["/jwks"] = (200, body)
    with pytest.raises(KeysAway):
        over_http(provider.uri, None, None)()


@pytest.mark.parametrize("url", ["http://idp.example/jwks", "file:///etc/passwd", "ftp://127.0.0.1/", "jwks"])
def test_keys_come_over_https_or_from_this_machine(url):
    with pytest.raises(KeysAway):
        over_http("https://idp.example", url, None)()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_keys_are_kept_and_asked_for_again_in_time():
    clock, asked = Clock(), []

    def fetch():
        asked.append(clock.now)
        return KeySet([KEY if len(asked) < 3 else OTHER_KEY])

    keys = JwksKeys(fetch, clock)
    keys.keys(fresh=False)
    keys.keys(fresh=True)  # just fetched: a token with an invented key asks nobody
    assert len(asked) == 1
    clock.now += 11
    keys.keys(fresh=False)
    assert len(asked) == 1
    keys.keys(fresh=True)
    assert len(asked) == 2
    clock.now += 301
    assert [key.kid for key in keys.keys(fresh=False).keys] == ["k2"]


def test_keys_outlive_an_issuer_that_is_away_for_an_hour():
    clock, away = Clock(), []

    def fetch():
        if away:
            raise KeysAway
        return KeySet([KEY])

    keys = JwksKeys(fetch, clock)
    keys.keys(fresh=False)
    away.append(True)
    clock.now += 3000
    assert keys.keys(fresh=False).keys
    clock.now += 1000
    with pytest.raises(KeysAway):
        keys.keys(fresh=False)


def test_a_file_is_read_anew_when_it_changes(tmp_path):
    path = tmp_path / "jwks.json"
    keys = FileKeys(path)
    with pytest.raises(KeysAway):
        keys.keys(fresh=False)
    path.write_bytes(JWKS)
    assert [key.kid for key in keys.keys(fresh=False).keys] == ["k1"]
    path.write_text(json.dumps(KeySet([OTHER_KEY]).as_dict(private=False)))
    assert [key.kid for key in keys.keys(fresh=False).keys] == ["k2"]
