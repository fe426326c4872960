"""The doors' side of the keyholder socket."""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgis.identity.issued import Issued
from dgis.keyholder import protocol
from dgis.keyholder.address import socket_address
from dgis.keyholder.issue import IssueRequest
from dgis.keyholder.protocol import (
    Identifiers,
    KeyholderGone,
    Keys,
    PseudonymsRequest,
    Request,
    RestoreRequest,
    RootRequest,
)
from storage_nodes.names import RecordKey

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 120.0  # a huge multi-frame instance is decoded twice before its first byte leaves


@dataclass(frozen=True, slots=True)
class Restored:
    """One original data set; its bytes are read from `chunks`, whole, before the next answer is asked for."""

    length: int
    chunks: Iterator[memoryview]


@dataclass(frozen=True, slots=True)
class NotRestored:
    """The worker refused; the reason is in words and names nothing of the content."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """No credential: the name of a `Reason`, empty where nobody is known by what was presented, and words."""

    reason: str
    words: str


class KeyholderClient:
    """Asks the worker of this host for what needs a key: originals that lie sealed, and pseudonyms."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    def restore(self, record_key: RecordKey, positions: Sequence[int]) -> Iterator[Restored | NotRestored]:
        """Yield one answer for each position, in order, while the worker goes on restoring the next.

        Raises:
            KeyholderGone: no worker answers on this host, or it went away half way.
        """
        with self._ask(RestoreRequest(record_key, tuple(positions))) as connection:
            for _ in positions:
                status, length = protocol.receive_answer_head(connection)
                chunks = protocol.receive_exactly(connection, length)
                if status == protocol.DONE:
                    yield Restored(length, chunks)
                    for _rest in chunks:  # what the reader did not take stands before the next answer
                        pass
                else:
                    yield NotRestored(b"".join(chunks).decode("utf-8", "replace"))

    def pseudonyms(self, of: Sequence[Identifiers]) -> list[Keys]:
        """Return the catalog keys of instances, in order.

        Raises:
            KeyholderGone: no worker answers on this host, or it could not answer.
        """
        with self._ask(PseudonymsRequest(tuple(of))) as connection:
            status, length = protocol.receive_answer_head(connection)
            said = b"".join(protocol.receive_exactly(connection, length))
        if status != protocol.DONE:
            raise KeyholderGone("the worker has no site secret")
        return [Keys(*row) for row in json.loads(said)]

    def answers(self) -> bool:
        """Whether a worker listens on this host."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_CONNECT_SECONDS)
            try:
                with socket_address(self._path) as address:
                    connection.connect(address)
            except OSError:
                return False
        return True

    def issue(self, request: IssueRequest) -> Issued | Refused:
        """Have a login verified and turned into a credential.

        Raises:
            KeyholderGone: no worker answers on this host, or it could not answer.
        """
        status, said = self._answer(request)
        if status != protocol.DONE:
            return Refused(str(said["refused"]), str(said["words"]))
        return Issued(str(said["credential"]), int(said["until_s"]))

    def root(self) -> dict[str, Any]:
        """Return what credentials of the grid are verified with.

        Raises:
            KeyholderGone: as `issue`.
        """
        return self._answer(RootRequest())[1]

    def _answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        with self._ask(request) as connection:
            status, length = protocol.receive_answer_head(connection)
            said = json.loads(b"".join(protocol.receive_exactly(connection, length)))
        return status, said

    @contextmanager
    def _ask(self, request: Request) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.settimeout(_CONNECT_SECONDS)
                with socket_address(self._path) as address:
                    connection.connect(address)
                connection.settimeout(_ANSWER_SECONDS)
                protocol.send_request(connection, request)
            except OSError as error:
                raise KeyholderGone("no worker answers on this host; is one running?") from error
            yield connection
