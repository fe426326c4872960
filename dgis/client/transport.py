"""Requests to a gateway: retried where that helps, refusals turned into exceptions."""

import ipaddress
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx

from dgis.client.errors import AnswerError, LoginError, UnavailableError, of_answer

Parameters = Sequence[tuple[str, str]]
_T = TypeVar("_T")

_ATTEMPTS = 4
_CONNECTIONS = 32
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0
_AGAIN = frozenset({429, 502, 503, 504})
_TIMEOUTS = httpx.Timeout(60.0, connect=15.0)  # a pause of so many seconds, not a transfer of so long
_JSON = "application/dicom+json"
_MOST_REFUSAL_BYTES = 64 << 10


class _AgainError(Exception):
    """Not now; `seconds` is what the gateway asks to wait."""

    def __init__(self, reason: Exception, seconds: float) -> None:
        super().__init__()
        self.reason = reason
        self.seconds = seconds


class Transport:
    """One gateway and one login; may be used by several threads at once."""

    def __init__(
        self,
        url: str,
        auth: httpx.Auth | None,
        *,
        verify: Any = True,  # noqa: ANN401 (as httpx takes it)
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        base = httpx.URL(url.rstrip("/"))
        if base.scheme not in {"http", "https"} or not base.host:
            raise LoginError(f"{url!r} is no http or https URL of a gateway")
        if auth is not None and base.scheme == "http" and not _is_loopback(base.host):
            raise LoginError("a login would cross the network in clear: use the https URL of the gateway")
        self.url = str(base)
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=base,
            auth=auth,
            timeout=_TIMEOUTS,
            limits=httpx.Limits(max_connections=_CONNECTIONS),
            verify=verify,
            transport=transport,
            trust_env=False,
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def json(self, path: str) -> Any:  # noqa: ANN401 (JSON)
        """Return the document at a path.

        Raises:
            GridError: it is refused, or none.
        """
        return self.document(path, (), "application/json")[0]

    def document(
        self, path: str, parameters: Parameters, accept: str = _JSON
    ) -> tuple[Any, Mapping[str, str]]:
        """Return the document at a path, an empty list where there is no content (204), and its fields.

        Raises:
            GridError: it is refused, or none.
        """

        def attempt() -> tuple[Any, Mapping[str, str]]:
            with self._answer(path, parameters, accept) as answer:
                if answer.status_code == httpx.codes.NO_CONTENT:
                    return [], answer.headers
                answer.read()
                try:
                    return answer.json(), answer.headers
                except ValueError:
                    raise AnswerError("the gateway's answer is no JSON; is this its URL?") from None

        return self.retried(attempt)

    @contextmanager
    def stream(self, path: str, accept: str) -> Iterator[tuple[Mapping[str, str], Iterator[bytes]]]:
        """Open what lies at a path: fields of the answer, and its body in pieces. Tried once: see `retried`.

        Raises:
            GridError: it is refused.
        """
        with self._answer(path, (), accept) as answer:
            yield answer.headers, answer.iter_bytes(1 << 18)

    def retried(self, attempt: Callable[[], _T]) -> _T:
        """Do something that may be done again, a few times where the gateway is away or busy.

        Raises:
            GridError: it is refused, or was away each time.
        """
        wait = _FIRST_WAIT_SECONDS
        for left in reversed(range(_ATTEMPTS)):
            try:
                return attempt()
            except _AgainError as again:
                if not left:
                    raise again.reason from None
                self._sleep(min(max(wait, again.seconds), _LONGEST_WAIT_SECONDS))
            except httpx.TransportError as error:
                if not left:
                    words = f"no answer from {self.url}: {_words(error)}; is it running, is the URL right?"
                    raise UnavailableError(words) from error
                self._sleep(wait)
            wait *= 4
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def _answer(self, path: str, parameters: Parameters, accept: str) -> Iterator[httpx.Response]:
        with self._client.stream("GET", path, params=list(parameters), headers={"Accept": accept}) as answer:
            if not answer.is_success:
                body = b"".join(_up_to(answer.iter_bytes(), _MOST_REFUSAL_BYTES))
                reason = of_answer(answer.status_code, body, answer.headers.get("content-type", ""))
                if answer.status_code in _AGAIN:
                    raise _AgainError(reason, _seconds(answer.headers.get("retry-after", "")))
                raise reason
            yield answer


def _up_to(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:most]
        most -= len(piece)
        if most <= 0:
            return


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _words(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__
