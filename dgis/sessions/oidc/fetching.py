"""What a provider is asked over HTTP: answers of bounded size and time, over HTTPS or from this machine."""

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

_SECONDS = 5.0
_LONGEST_BYTES = 256 << 10
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ProviderAway(Exception):  # noqa: N818 (a provider that does not answer)
    """A provider did not answer, or with something else; holds nothing of what was said."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON object of an answer."""

    status: int
    said: Mapping[str, Any]


class Fetcher:
    """Asks one provider; follows nobody elsewhere. `transport` stands in for the network in tests."""

    def __init__(self, ca_file: Path | None = None, transport: httpx.BaseTransport | None = None) -> None:
        verify = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._client = httpx.Client(
            timeout=_SECONDS,
            follow_redirects=False,
            trust_env=False,
            verify=verify,
            transport=transport,
            headers={"Accept": "application/json"},
        )

    def get(self, url: str) -> Answer:
        """Fetch a document.

        Raises:
            ProviderAway: there is none.
        """
        return self._ask("GET", url, None, None)

    def post(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None) -> Answer:
        """Post a form; `auth` are name and secret of the client, where they are not in the form.

        Raises:
            ProviderAway: there is no answer.
        """
        return self._ask("POST", url, form, auth)

    def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None, auth: tuple[str, str] | None
    ) -> Answer:
        if not is_reachable(url):
            raise ProviderAway
        deadline = time.monotonic() + 2 * _SECONDS
        body = bytearray()
        try:
            with self._client.stream(method, url, data=form, auth=auth) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > _LONGEST_BYTES or time.monotonic() > deadline:
                        raise ProviderAway
                said = json.loads(bytes(body))
        except (httpx.HTTPError, ValueError, RecursionError):
            raise ProviderAway from None
        if not isinstance(said, dict):
            raise ProviderAway
        return Answer(response.status_code, said)


def is_reachable(url: str) -> bool:
    """Whether an address is one that secrets may be sent to: HTTPS, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
