"""What door and worker say to each other over the Unix socket: one request, then one answer an instance.

request   u32 length, JSON {"record_key": text, "positions": [int, ...]}
answer    u8 status, u64 length, then `length` bytes: the original data set (RESTORED) or words (REFUSED)

Integers are big endian. The socket lies under the home with mode 0600: whoever can open it could read the key
files as well. No key ever crosses it.
"""

import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from storage_nodes.names import RecordKey

RESTORED = 0
REFUSED = 1

MAX_REQUEST_BYTES = 16 << 20
_LENGTH = struct.Struct(">I")
_ANSWER = struct.Struct(">BQ")
_CHUNK_BYTES = 1 << 20


class RestorerGone(Exception):  # noqa: N818 (a condition of the other side, not an error of this one)
    """The worker that restores originals does not answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """The instances of one record that are wanted, by their position in its sealed companion, in order."""

    record_key: RecordKey
    positions: tuple[int, ...]


def send_request(connection: socket.socket, request: Request) -> None:
    """Write one request."""
    body = json.dumps({"record_key": str(request.record_key), "positions": request.positions}).encode()
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive_request(connection: socket.socket) -> Request | None:
    """Read one request; None when the other side has closed.

    Raises:
        ValueError: the bytes are no request.
    """
    first = connection.recv(1)
    if not first:
        return None
    prefix = first + b"".join(receive_exactly(connection, _LENGTH.size - 1))
    length = _LENGTH.unpack(prefix)[0]
    if length > MAX_REQUEST_BYTES:
        raise ValueError("a restore request is smaller than that")
    said = json.loads(b"".join(receive_exactly(connection, length)))
    positions = said["positions"]
    if not isinstance(positions, list) or not all(isinstance(each, int) and each >= 0 for each in positions):
        raise ValueError("positions are whole numbers")
    return Request(RecordKey(said["record_key"]), tuple(positions))


def send_answer_head(connection: socket.socket, status: int, length: int) -> None:
    """Announce the bytes that follow."""
    connection.sendall(_ANSWER.pack(status, length))


def receive_answer_head(connection: socket.socket) -> tuple[int, int]:
    """Return (status, length in bytes) of the next answer."""
    head = b"".join(receive_exactly(connection, _ANSWER.size))
    status, length = _ANSWER.unpack(head)
    return status, length


def receive_exactly(connection: socket.socket, length: int) -> Iterator[memoryview]:
    """Yield `length` bytes in pieces; each piece is valid until the next is asked for.

    Raises:
        RestorerGone: the other side went away first.
    """
    buffer = memoryview(bytearray(min(length, _CHUNK_BYTES)))
    while length:
        try:
            count = connection.recv_into(buffer, min(length, len(buffer)))
        except OSError as error:
            raise RestorerGone("the restore worker does not answer") from error
        if not count:
            raise RestorerGone("the restore worker went away")
        length -= count
        yield buffer[:count]
