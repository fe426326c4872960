"""HTTP load over connections that stay open: as fast as is answered, or at a rate of arrivals."""

import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Self

from tests.bench.association import Address

_TIMEOUT_SECONDS = 120
_ROOM = 1 << 20
_OK = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: always the same, so that only its answer costs."""

    path: str
    fields: Mapping[str, str] = field(repr=False)
    method: str = "GET"
    body: bytes = field(default=b"", repr=False)


class Connection:
    """A connection that asks one thing after the other, and opens itself anew where it was closed."""

    def __init__(self, address: Address) -> None:
        self._link = HTTPConnection(*address, timeout=_TIMEOUT_SECONDS)
        self._room = memoryview(bytearray(_ROOM))

    def __enter__(self) -> Self:
        self._link.connect()
        return self

    def __exit__(self, *_details) -> None:
        self.close()

    def close(self) -> None:
        """Close it; the next request opens it anew."""
        self._link.close()

    def ask(self, asked: Asked) -> int:
        """Return how many bytes the body of the answer has.

        Raises:
            ConnectionError: it is no success, or shorter than it said.
            OSError, HTTPException: there was no whole answer.
        """
        self._link.request(asked.method, asked.path, asked.body or None, dict(asked.fields))
        answer = self._link.getresponse()
        length = 0
        while count := answer.readinto(self._room):
            length += count
        if answer.status != _OK or answer.length:
            raise ConnectionError(f"answered with {answer.status}, {answer.length or 0} bytes missing")
        return length


@dataclass(frozen=True, slots=True)
class Rush:
    """What came of asking many times: how long each answer took from when it was due, and what failed."""

    seconds: float
    latencies: tuple[float, ...] = field(repr=False)
    failed: int

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    @property
    def p99(self) -> float:
        """Seconds that 99 of a hundred answers took at most."""
        return statistics.quantiles(self.latencies, n=100, method="inclusive")[98]


def saturate(address: Address, asked: Asked, connections: int, seconds: float) -> Rush:
    """Ask over so many connections at once, each anew as soon as it is answered."""
    return _rush(address, asked, connections, _at_once(seconds))


def arrive(address: Address, asked: Asked, connections: int, per_second: float, seconds: float) -> Rush:
    """Ask at a rate, whatever is answered; what waits for a connection has waited since it was due."""
    return _rush(address, asked, connections, _in_time(per_second, seconds))


def _at_once(seconds: float) -> Iterator[float]:
    until = time.perf_counter() + seconds
    while (now := time.perf_counter()) < until:
        yield now


def _in_time(per_second: float, seconds: float) -> Iterator[float]:
    began = time.perf_counter()
    yield from (began + number / per_second for number in range(int(per_second * seconds)))


def _rush(address: Address, asked: Asked, connections: int, due: Iterator[float]) -> Rush:
    """Ask whenever it is due, over the connection that is free first."""
    taking = threading.Lock()
    together = threading.Barrier(connections)
    began: list[float] = []
    ended: list[float] = []
    latencies: list[float] = []
    failures: list[Exception] = []

    def work() -> None:
        with Connection(address) as connection:
            together.wait()
            while True:
                with taking:
                    at = next(due, None)
                if at is None:
                    return
                began.append(at)
                time.sleep(max(0.0, at - time.perf_counter()))
                try:
                    connection.ask(asked)
                    latencies.append(time.perf_counter() - at)
                except (OSError, HTTPException) as error:
                    failures.append(error)
                    connection.close()
                ended.append(time.perf_counter())

    with ThreadPoolExecutor(connections) as pool:
        for job in [pool.submit(work) for _ in range(connections)]:
            job.result()
    return Rush(max(ended) - min(began), tuple(latencies), len(failures))
