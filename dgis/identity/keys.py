"""The public keys of token issuers: from a file, or over HTTP as their discovery document says."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
import urllib3
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from catalog.credentials.issuers import KeysAway

_log = structlog.get_logger(__name__)

_LONGEST_BYTES = 1 << 20
_SECONDS = urllib3.Timeout(connect=3, read=5)
_GOOD_FOR_SECONDS = 300.0
_ASK_AGAIN_SECONDS = 10.0  # tokens with invented key names must not make us a nuisance to the issuer
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class FileKeys:
    """Keys in a JWKS file (RFC 7517), read anew when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, KeySet] | None = None

    def keys(self, *, fresh: bool) -> KeySet:
        """Return the keys of the file as it is now."""
        del fresh
        try:
            changed = self._path.stat().st_mtime_ns
            if self._read is None or self._read[0] != changed:
                self._read = changed, _key_set(self._path.read_bytes())
        except OSError:
            raise KeysAway from None
        return self._read[1]


class JwksKeys:
    """Keys behind a URL, kept for minutes; while the issuer is away the last ones count for an hour."""

    _LAST_RESORT_SECONDS = 3600.0

    def __init__(self, fetch: Callable[[], KeySet], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: KeySet | None = None
        self._kept_at = self._asked_at = float("-inf")

    def keys(self, *, fresh: bool) -> KeySet:
        """Return keys that are minutes old at most; `fresh` asks again, though not every second."""
        good_for = _ASK_AGAIN_SECONDS if fresh else _GOOD_FOR_SECONDS
        # While one thread asks a slow issuer the others go on with the keys there are, if there are any.
        if self._is_due(good_for) and self._lock.acquire(blocking=self._kept is None):
            try:
                if self._is_due(good_for):
                    self._ask()
            finally:
                self._lock.release()
        kept, kept_at = self._kept, self._kept_at
        if kept is None or self._clock() - kept_at > self._LAST_RESORT_SECONDS:
            raise KeysAway
        return kept

    def _is_due(self, good_for: float) -> bool:
        now = self._clock()
        return now - self._kept_at >= good_for and now - self._asked_at >= _ASK_AGAIN_SECONDS

    def _ask(self) -> None:
        self._asked_at = now = self._clock()
        try:
            self._kept, self._kept_at = self._fetch(), now
        except KeysAway:
            _log.warning("issuer_keys_away")


def over_http(issuer: str, jwks_url: str | None, ca_file: Path | None) -> Callable[[], KeySet]:
    """Return how to fetch the keys of an issuer (OpenID Connect Discovery 1.0 section 4)."""
    pool = urllib3.PoolManager(
        timeout=_SECONDS, retries=False, ca_certs=None if ca_file is None else str(ca_file)
    )

    def fetch() -> KeySet:
        url = jwks_url
        if url is None:
            known = _document(pool, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            url = known.get("jwks_uri")
            if known.get("issuer") != issuer or not isinstance(url, str):
                raise KeysAway  # it speaks for somebody else
        return _key_set(_get(pool, url))

    return fetch


def _document(pool: urllib3.PoolManager, url: str) -> dict[str, Any]:
    try:
        found = json.loads(_get(pool, url))
    except ValueError:
        raise KeysAway from None
    if not isinstance(found, dict):
        raise KeysAway
    return found


def _get(pool: urllib3.PoolManager, url: str) -> bytes:
    """Fetch a document of bounded size, over HTTPS or from this machine, following nobody elsewhere."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise KeysAway
    try:
        response = pool.request("GET", url, redirect=False, preload_content=False)
        try:
            body = response.read(_LONGEST_BYTES + 1, decode_content=True)
        finally:
            response.release_conn()
    except (urllib3.exceptions.HTTPError, OSError):
        raise KeysAway from None
    if response.status != 200 or len(body) > _LONGEST_BYTES:  # noqa: PLR2004 (OK)
        raise KeysAway
    return body


def _key_set(document: bytes) -> KeySet:
    try:
        return KeySet.import_key_set(json.loads(document))
    except (ValueError, KeyError, TypeError, AttributeError, JoseError):
        raise KeysAway from None
