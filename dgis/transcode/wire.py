"""What is said over the socket between a door and the process that decodes for it.

request   u32 length, a `Job` as JSON; u64 length, the codestream
answer    u8 status; u64 length; then the native frame (DECODED), or words (REFUSED)

Integers are big endian. Every call takes the moment, by `time.monotonic`, at which it gives up.
"""

import socket
import struct
import time
from collections.abc import Iterator

from deid.elements import Buffer

DECODED, REFUSED = 0, 1
LONGEST_WORDS_BYTES = 1024

_LENGTH = struct.Struct(">I")
_SIZE = struct.Struct(">Q")
ANSWER = struct.Struct(">BQ")
_CHUNK_BYTES = 1 << 20
_LONGEST_JOB_BYTES = 4096


def send_request(connection: socket.socket, job: bytes, stream: Buffer, deadline_s: float) -> None:
    """Write one request.

    Raises:
        OSError: the process is gone, or does not read.
    """
    _send(connection, _LENGTH.pack(len(job)) + job + _SIZE.pack(len(stream)), deadline_s)
    _send(connection, stream, deadline_s)


def receive_request(connection: socket.socket, limit_bytes: int) -> tuple[bytes, bytes] | None:
    """Read one request as (job, codestream); None when the door has closed.

    Raises:
        EOFError: the door went away half way.
        ValueError: the lengths are beyond what a door sends.
    """
    try:
        (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    except EOFError:
        return None
    if length > _LONGEST_JOB_BYTES:
        raise ValueError("a job is smaller than that")
    job = _exactly(connection, length)
    (size,) = _SIZE.unpack(_exactly(connection, _SIZE.size))
    if size > limit_bytes:
        raise ValueError("a codestream is smaller than that")
    return job, _exactly(connection, size)


def pieces(connection: socket.socket, size: int, deadline_s: float) -> Iterator[bytes]:
    """Yield the next `size` bytes in pieces.

    Raises:
        OSError: the other side is gone, or silent past the deadline.
    """
    while size:
        connection.settimeout(_left(deadline_s))
        piece = connection.recv(min(size, _CHUNK_BYTES))
        if not piece:
            raise ConnectionResetError
        size -= len(piece)
        yield piece


def _send(connection: socket.socket, data: Buffer, deadline_s: float) -> None:
    view = memoryview(data)
    while view:
        connection.settimeout(_left(deadline_s))
        view = view[connection.send(view[:_CHUNK_BYTES]) :]


def _left(deadline_s: float) -> float:
    left = deadline_s - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _exactly(connection: socket.socket, size: int) -> bytes:
    gathered = bytearray()
    while len(gathered) < size:
        piece = connection.recv(min(size - len(gathered), _CHUNK_BYTES))
        if not piece:
            raise EOFError
        gathered += piece
    return bytes(gathered)
