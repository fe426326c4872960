from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from hashlib import sha256 as new_sha256
from hmac import compare_digest

from deid.elements import Buffer
from deid.seal.values import SealedInstance
from deid.splice.build import payload_part, xor
from deid.splice.program import Literal, Program, Xor

ASSEMBLE_BELOW_BYTES = 64 << 20


class RestoreReason(StrEnum):
    """Why an original is not given out."""

    LENGTH = "the program gives another length than the original had"
    LITERALS = "the literals do not match the program"
    PAYLOAD = "a payload is missing or shorter than the program asks for"
    DIGEST = "the bytes put together are not the original"


class RestoreRefused(Exception):  # noqa: N818 - a refusal, in the words of this project
    """The original cannot be given back byte for byte, so nothing is given; says nothing of the content."""

    def __init__(self, reason: RestoreReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def restore(
    sealed: SealedInstance,
    payload: Callable[[int], Buffer],
    *,
    assemble_below_bytes: int = ASSEMBLE_BELOW_BYTES,
) -> Iterator[Buffer]:
    """Return the original data set as buffers, checked against its SHA-256 before the first is given out.

    `payload` returns a payload as published; the buffer must stay as it is until the last of the original is
    taken. What it raises passes through, but LookupError is a refusal. Below `assemble_below_bytes` the
    buffers are held while they are hashed. Above, everything is read twice: the first pass checks and notes
    each digest on the way, the second gives a buffer out only when the digest up to it is the noted one.

    Raises:
        RestoreRefused: before any byte; from the returned iterator only where a source changed in between.
    """
    if sealed.program.length != sealed.length:
        raise RestoreRefused(RestoreReason.LENGTH)
    digest = new_sha256()
    if sealed.length < assemble_below_bytes:
        buffers: list[Buffer] = []
        for buffer in assemble(sealed.program, sealed.literals, payload):
            digest.update(buffer)
            buffers.append(buffer)
        _check(digest.digest(), sealed.sha256)
        return iter(buffers)
    trail: list[bytes] = []
    for buffer in assemble(sealed.program, sealed.literals, payload):
        digest.update(buffer)
        trail.append(digest.copy().digest())
    _check(digest.digest(), sealed.sha256)
    return _again(assemble(sealed.program, sealed.literals, payload), trail)


def _again(buffers: Iterator[Buffer], trail: list[bytes]) -> Iterator[Buffer]:
    digest = new_sha256()
    for expected in trail:
        buffer = next(buffers, b"")
        digest.update(buffer)
        _check(digest.copy().digest(), expected)
        yield buffer


def _check(found: bytes, expected: bytes) -> None:
    if not compare_digest(found, expected):
        raise RestoreRefused(RestoreReason.DIGEST)


def assemble(
    program: Program, literals: Iterable[Buffer], payload: Callable[[int], Buffer]
) -> Iterator[Buffer]:
    """Run a program: yield the original piece by piece, unchecked. `restore` is what callers outside want.

    Raises:
        RestoreRefused: literals or payloads do not match the program.
    """
    source = _Literals(literals)
    held: tuple[int, Buffer] | None = None
    for op in program.ops:
        if isinstance(op, Literal):
            yield from source.take(op.length)
            continue
        # Ops on one payload stand together (what was dropped lies between them): it is asked for once.
        if held is None or held[0] != op.payload:
            try:
                held = (op.payload, payload(op.payload))
            except LookupError as error:
                raise RestoreRefused(RestoreReason.PAYLOAD) from error
        part = payload_part(held[1], op)
        if len(part) != op.length:
            raise RestoreRefused(RestoreReason.PAYLOAD)
        if not isinstance(op, Xor):
            yield part
            continue
        position = 0
        for mask in source.take(op.length):
            yield xor(part[position : position + len(mask)], mask)
            position += len(mask)
    if source.left():
        raise RestoreRefused(RestoreReason.LITERALS)


class _Literals:
    """Reads literals piece by piece, whatever the pieces' sizes."""

    def __init__(self, pieces: Iterable[Buffer]) -> None:
        self._pieces = iter(pieces)
        self._piece = memoryview(b"")

    def take(self, length: int) -> Iterator[memoryview]:
        """Yield views of the next `length` bytes; raise RestoreRefused where there are fewer."""
        while length:
            if not self._piece and not self._fill():
                raise RestoreRefused(RestoreReason.LITERALS)
            part = self._piece[:length]
            self._piece = self._piece[len(part) :]
            length -= len(part)
            yield part

    def left(self) -> bool:
        """Whether there are bytes no op took."""
        return bool(self._piece) or self._fill()

    def _fill(self) -> bool:
        self._piece = next((view for piece in self._pieces if (view := memoryview(piece))), memoryview(b""))
        return bool(self._piece)
