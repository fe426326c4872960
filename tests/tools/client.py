"""An independent DICOM client that sends and receives data sets byte for byte, in any transfer syntax."""

import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Self

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset

from tests.tools import wire
from tests.tools.link import Link, Message, Received

ROOT = {"patient": "1.2.840.10008.5.1.4.1.2.1.", "study": "1.2.840.10008.5.1.4.1.2.2."}
FIND, MOVE, GET = "1", "2", "3"  # last component of the SOP class under a root (PS3.4 C.6)
VERIFICATION = "1.2.840.10008.1.1"
C_STORE, C_GET, C_FIND, C_MOVE, C_ECHO, C_CANCEL, RESPONSE = 0x1, 0x10, 0x20, 0x21, 0x30, 0xFFF, 0x8000
PENDING = {0xFF00, 0xFF01}
MAX_CONTEXTS = 128


class RejectedError(Exception):
    """The association was rejected; args are result, source and reason (PS3.8 9.3.4)."""


@dataclass
class Outcome:
    """How a query or a retrieval ended."""

    status: int = -1
    final: dict = field(default_factory=dict)
    identifiers: list[Dataset] = field(default_factory=list)
    pending: list[dict] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    failed_list: Dataset | None = None


class Client:
    """One association, opened by entering it."""

    def __init__(
        self,
        address: tuple[str, int],
        calling: str,
        contexts: Sequence[tuple[str, Sequence[str]]],
        *,
        called: str = "DGIS",
        provider_of: Iterable[str] = (),
        timeout_seconds: float = 60.0,
    ) -> None:
        if len(contexts) > MAX_CONTEXTS:
            raise ValueError(f"{len(contexts)} presentation contexts, an association carries {MAX_CONTEXTS}")
        self.proposed = {2 * index + 1: context for index, context in enumerate(contexts)}
        self._address, self._timeout = address, timeout_seconds
        self._request = wire.associate_rq(calling, called, self.proposed, provider_of)
        self._message_id = 0

    def __enter__(self) -> Self:
        self.link = Link(socket.create_connection(self._address, self._timeout), self._timeout)
        try:
            body = self._negotiate()
        except BaseException:
            self.link.close()
            raise
        self.accepted = wire.accepted_contexts(body)
        self.link.peer_max_pdu = wire.peer_max_pdu(body)
        return self

    def _negotiate(self) -> bytes:
        self.link.send_pdu(self._request)
        kind, body = self.link.read_pdu()
        if kind == wire.RJ:
            raise RejectedError(body[1], body[2], body[3])
        if kind != wire.AC:
            raise wire.GoneError(f"answered a request with PDU {kind}")
        return body

    def __exit__(self, kind, *_details) -> None:
        try:
            if kind is None:
                self.link.send_pdu(wire.pdu(wire.RELEASE_RQ, bytes(4)))
                answer, _ = self.link.read_pdu()
                assert answer == wire.RELEASE_RP
        finally:
            self.link.close()

    def context(self, abstract: str, syntax: str | None = None) -> int:
        for number, (proposed, _) in self.proposed.items():
            if number in self.accepted and proposed == abstract and syntax in {None, self.accepted[number]}:
                return number
        raise LookupError(f"no accepted context for {abstract} in {syntax or 'any syntax'}")

    def accepts(self, abstract: str, syntax: str) -> bool:
        """Whether instances of this class can be sent in this transfer syntax."""
        return any(
            self.proposed[number][0] == abstract and took == syntax for number, took in self.accepted.items()
        )

    def echo(self) -> int:
        answer = self._ask(self.context(VERIFICATION), C_ECHO, VERIFICATION)
        return answer.command["Status"]

    def store(
        self,
        sop_class: str,
        instance: str,
        syntax: str,
        dataset: bytes | Iterable[bytes],
        context: int | None = None,
    ) -> int:
        """Send one instance; returns the status the gateway answered."""
        number = context if context is not None else self.context(sop_class, syntax)
        return self._ask(
            number, C_STORE, sop_class, dataset, Priority=0, AffectedSOPInstanceUID=instance
        ).command["Status"]

    def find(self, identifier: Dataset, root: str = "study") -> Outcome:
        return self._operation(C_FIND, ROOT[root] + FIND, identifier)

    def get(self, identifier: Dataset, root: str = "study") -> Outcome:
        return self._operation(C_GET, ROOT[root] + GET, identifier)

    def move(self, identifier: Dataset, destination: str, root: str = "study") -> Outcome:
        return self._operation(C_MOVE, ROOT[root] + MOVE, identifier, MoveDestination=destination)

    def _ask(self, context: int, field_code: int, abstract: str, data=None, **fields) -> Message:
        self._message_id += 1
        head = {"CommandField": field_code, "MessageID": self._message_id, "AffectedSOPClassUID": abstract}
        self.link.send(context, {**head, **fields}, data)
        return self._next()

    def _next(self) -> Message:
        message = self.link.receive()
        if message is None:
            raise wire.GoneError("released in the middle of an exchange")
        return message

    def _operation(self, field_code: int, abstract: str, identifier: Dataset, **fields) -> Outcome:
        outcome = Outcome()
        number = self.context(abstract)
        syntax = self.accepted[number]
        message = self._ask(number, field_code, abstract, encode(identifier, syntax), Priority=0, **fields)
        while True:
            command = message.command
            if command["CommandField"] == C_STORE:
                outcome.received.append(self._take(message))
            elif command["Status"] in PENDING:
                outcome.pending.append(command)
                if message.data:
                    outcome.identifiers.append(decode(message.data, syntax))
            else:
                outcome.status, outcome.final = command["Status"], command
                outcome.failed_list = decode(message.data, syntax) if message.data else None
                return outcome
            message = self._next()

    def _take(self, message: Message) -> Received:
        self.link.send(message.context, store_response(message.command))
        return received(message, self.accepted[message.context])


def received(message: Message, syntax: str) -> Received:
    command = message.command
    return Received(
        command["AffectedSOPClassUID"], command["AffectedSOPInstanceUID"], syntax, message.data, command
    )


def store_response(request: dict, status: int = 0) -> dict:
    return {
        "CommandField": C_STORE | RESPONSE,
        "MessageIDBeingRespondedTo": request["MessageID"],
        "AffectedSOPClassUID": request["AffectedSOPClassUID"],
        "AffectedSOPInstanceUID": request["AffectedSOPInstanceUID"],
        "Status": status,
    }


def encode(dataset: Dataset, syntax: str = wire.IMPLICIT) -> bytes:
    buffer = BytesIO()
    file = DicomFileLike(buffer)
    file.is_implicit_VR, file.is_little_endian = syntax == wire.IMPLICIT, True
    write_dataset(file, dataset)
    return buffer.getvalue()


def decode(raw: bytes, syntax: str = wire.IMPLICIT) -> Dataset:
    return dcmread(BytesIO(_as_file(raw, syntax)))


def _as_file(raw: bytes, syntax: str) -> bytes:
    meta = Dataset()
    meta.add_new(0x00020010, "UI", syntax)
    body = encode(meta, wire.EXPLICIT)
    return bytes(128) + b"DICM" + body + raw


def query(level: str, **keys: object) -> Dataset:
    """An identifier: every keyword given is a key, an empty one asks for the value back."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def query_contexts(*services: str) -> list[tuple[str, list[str]]]:
    return [(ROOT[root] + service, [wire.EXPLICIT, wire.IMPLICIT]) for root in ROOT for service in services]


Contexts = list[tuple[str, list[str]]]


def batches(pairs: Iterable[tuple[str, str]], room: int = MAX_CONTEXTS - 2) -> Iterator[Contexts]:
    """Distinct (SOP class, transfer syntax) pairs, each a context of its own, so that none is transcoded."""
    distinct = sorted(set(pairs))
    for at in range(0, len(distinct), room):
        yield [(abstract, [syntax]) for abstract, syntax in distinct[at : at + room]]
