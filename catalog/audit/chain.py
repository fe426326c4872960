"""The chain: each entry's digest covers the one before, so that no entry changes, goes or comes unseen."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from catalog.audit.values import Entry, Happening, encoded

DIGEST_BYTES = 32
BEGINNING = bytes(DIGEST_BYTES)
_DOMAIN = b"dgis/audit/v1"


def digest(  # noqa: PLR0913, PLR0917 (the fields of an entry)
    previous: bytes, writer: str, number: int, at_ms: int, happening: Happening, kept: str | None = None
) -> bytes:
    """Return the SHA-256 of an entry over the digest before it; every field stands behind its length.

    `kept` is what `encoded` makes of the happening, where somebody has it already.
    """
    fields = (
        _DOMAIN,
        previous,
        writer.encode(),
        str(number).encode(),
        str(at_ms).encode(),
        happening.event.value.encode(),
        happening.caller.encode(),
        str(int(happening.outcome)).encode(),
        str(happening.count).encode(),
        (encoded(happening) if kept is None else kept).encode(),
    )
    return hashlib.sha256(b"".join(len(one).to_bytes(8, "big") + one for one in fields)).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a writer's chain at some moment: how many entries, and the digest of the last."""

    writer: str
    number: int
    digest: bytes


class Fault(StrEnum):
    """What is wrong with a chain."""

    CHANGED = "an entry is not what was written"
    MISSING = "entries are missing"
    CUT = "entries at the end are missing: a signed head knows more"
    REWRITTEN = "the chain is not the one whose head was signed"
    UNKNOWN = "a signed head names a writer of whom nothing is left"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, at the entry where it shows."""

    fault: Fault
    writer: str
    number: int


def examine(writer: str, entries: Iterable[Entry], heads: Iterable[Head]) -> Iterator[Finding]:
    """Compare the entries of one writer, in order, with their digests and with heads signed earlier.

    After a change the chain is followed from the digest that stands there, so that each is reported once.
    """
    signed = {head.number: head.digest for head in heads}
    previous, expected = BEGINNING, 1
    for entry in entries:
        if entry.number != expected:
            yield Finding(Fault.MISSING, writer, expected)
        elif digest(previous, writer, entry.number, entry.at_ms, entry.happening) != entry.digest:
            yield Finding(Fault.CHANGED, writer, entry.number)
        if signed.get(entry.number, entry.digest) != entry.digest:
            yield Finding(Fault.REWRITTEN, writer, entry.number)
        previous, expected = entry.digest, entry.number + 1
    last = max(signed, default=0)
    if last >= expected:
        yield Finding(Fault.UNKNOWN if expected == 1 else Fault.CUT, writer, expected)
