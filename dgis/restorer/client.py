"""The door's side of the restore socket."""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dgis.restorer import protocol
from dgis.restorer.protocol import Request, RestorerGone
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


class RestoreClient:
    """Asks the worker of this host for originals that lie sealed on the nodes."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    def restore(self, record_key: RecordKey, positions: Sequence[int]) -> Iterator[Restored | NotRestored]:
        """Yield one answer for each position, in order, while the worker goes on restoring the next.

        Raises:
            RestorerGone: no worker answers on this host, or it went away half way.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.settimeout(_CONNECT_SECONDS)
                connection.connect(str(self._path))
                connection.settimeout(_ANSWER_SECONDS)
                protocol.send_request(connection, Request(record_key, tuple(positions)))
            except OSError as error:
                raise RestorerGone("no restore worker answers on this host; is a worker running?") from error
            for _ in positions:
                status, length = protocol.receive_answer_head(connection)
                chunks = protocol.receive_exactly(connection, length)
                if status == protocol.RESTORED:
                    yield Restored(length, chunks)
                    for _rest in chunks:  # what the reader did not take stands before the next answer
                        pass
                else:
                    yield NotRestored(b"".join(chunks).decode("utf-8", "replace"))
