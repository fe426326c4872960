"""What the doors say to the process that holds the keys, over a Unix socket of this host.

request   u32 length, JSON: {"restore": record key, "positions": [int, ...]}
                         or {"pseudonyms": [[issuer, patient ID, study, series, SOP instance UID], ...]}
                         or {"issue": dgis/keyholder/issue.py}, {"root": true}
answer    u8 status, u64 length, then `length` bytes: DONE, or words (REFUSED)

A restore is answered once for each position, with the original data set; all else once, with JSON.
Integers are big endian. The socket lies under the home with mode 0600: whoever can open it could read
the key files as well. No key ever crosses it.
"""

import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field

from dgis.keyholder.issue import IssueRequest
from storage_nodes.names import RecordKey

DONE = 0
REFUSED = 1

MAX_REQUEST_BYTES = 16 << 20
_LENGTH = struct.Struct(">I")
_ANSWER = struct.Struct(">BQ")
_CHUNK_BYTES = 256 << 10


class KeyholderGone(Exception):  # noqa: N818 (a condition of the other side, not an error of this one)
    """The process that holds the keys does not answer."""


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """The instances of one record that are wanted, by their position in its sealed companion, in order."""

    record_key: RecordKey
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What an instance calls itself and its patient; empty text where it says nothing."""

    issuer: str = field(repr=False)
    patient_id: str = field(repr=False)
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_instance_uid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keyed pseudonyms that stand for `Identifiers` in the catalog: opaque, and stable for ever."""

    patient: str
    study: str
    series: str
    instance: str


@dataclass(frozen=True, slots=True)
class PseudonymsRequest:
    """Whose pseudonyms are wanted."""

    of: tuple[Identifiers, ...]


@dataclass(frozen=True, slots=True)
class RootRequest:
    """What credentials of the grid are verified with is wanted."""


Request = RestoreRequest | PseudonymsRequest | IssueRequest | RootRequest


def send_request(connection: socket.socket, request: Request) -> None:
    """Write one request."""
    body = json.dumps(_said(request)).encode()
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
        raise ValueError("a request is smaller than that")
    match json.loads(b"".join(receive_exactly(connection, length))):
        case {"restore": str(key), "positions": [*positions]} if all(map(_is_position, positions)):
            return RestoreRequest(RecordKey(key), tuple(positions))
        case {"pseudonyms": [*rows]} if all(map(_is_identifiers, rows)):
            return PseudonymsRequest(tuple(Identifiers(*row) for row in rows))
        case {"issue": dict(asked)}:
            return IssueRequest.read(asked)
        case {"root": True}:
            return RootRequest()
        case _:
            raise ValueError("no request that is known")


def _said(request: Request) -> dict[str, object]:
    match request:
        case RestoreRequest():
            return {"restore": str(request.record_key), "positions": request.positions}
        case PseudonymsRequest():
            return {"pseudonyms": [astuple(each) for each in request.of]}
        case IssueRequest():
            return {"issue": request.written()}
        case RootRequest():
            return {"root": True}


def send_answer_head(connection: socket.socket, status: int, length: int) -> None:
    """Announce the bytes that follow."""
    connection.sendall(_ANSWER.pack(status, length))


def receive_answer_head(connection: socket.socket) -> tuple[int, int]:
    """Return (status, length in bytes) of the next answer."""
    status, length = _ANSWER.unpack(b"".join(receive_exactly(connection, _ANSWER.size)))
    return status, length


def receive_exactly(connection: socket.socket, length: int) -> Iterator[memoryview]:
    """Yield `length` bytes in pieces, each in memory of its own: a reader may gather several before it sends.

    Raises:
        KeyholderGone: the other side went away first.
    """
    while length:
        piece = memoryview(bytearray(min(length, _CHUNK_BYTES)))
        filled = 0
        while filled < len(piece):
            try:
                count = connection.recv_into(piece[filled:])
            except OSError as error:
                raise KeyholderGone("the worker does not answer") from error
            if not count:
                raise KeyholderGone("the worker went away")
            filled += count
        length -= len(piece)
        yield piece


def _is_position(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _is_identifiers(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == len(Identifiers.__slots__)
        and all(isinstance(text, str) for text in value)
    )
