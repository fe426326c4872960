"""What there is to send: the entries of a gateway's writers, and the signed heads of their chains."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from catalog.audit import trail
from catalog.audit.seal import opened
from catalog.tables import audit, audit_seal
from dgis.repository import syslog
from dgis.repository.message import Source, head_message, messages


class Sort(enum.StrEnum):
    """What a stream is made of."""

    ENTRIES = "entries"
    HEADS = "heads"


@dataclass(frozen=True, slots=True)
class Stream:
    """One writer's entries, or heads; numbers rise in it."""

    sort: Sort
    writer: str

    @property
    def name(self) -> str:
        """The stream among those of a repository."""
        return f"{self.sort.value} {self.writer}"


@dataclass(frozen=True, slots=True)
class Item:
    """What is sent of one number of a stream."""

    stream: Stream
    number: int
    messages: tuple[bytes, ...]


def streams(connection: sa.Connection, gateway_id: str) -> dict[Stream, int]:
    """Return the streams of a gateway's writers, each with its last number."""
    found: dict[Stream, int] = {}
    for head in trail.heads(connection):
        if head.writer.startswith(f"{gateway_id}/"):
            found[Stream(Sort.ENTRIES, head.writer)] = head.number
            signed = sa.select(sa.func.max(audit_seal.c.number)).where(audit_seal.c.writer == head.writer)
            found[Stream(Sort.HEADS, head.writer)] = connection.scalar(signed) or 0
    return found


@dataclass(frozen=True, slots=True)
class Reader:
    """Turns what follows in a stream into syslog messages; `key` is that of the signed heads."""

    source: Source
    key: Ed25519PublicKey

    def items(self, connection: sa.Connection, stream: Stream, after: int, most: int) -> Iterator[Item]:
        """Yield what follows number `after` in a stream, so many at most."""
        made = self._entries if stream.sort is Sort.ENTRIES else self._heads
        return made(connection, stream, after, most)

    def _entries(self, connection: sa.Connection, stream: Stream, after: int, most: int) -> Iterator[Item]:
        for entry in islice(trail.entries(connection, stream.writer, after), most):
            outcome = int(entry.happening.outcome)
            header = syslog.Header(entry.at_ms, self.source.host, stream.writer, outcome)
            made = tuple(syslog.message(header, body) for body in messages(self.source, entry))
            yield Item(stream, entry.number, made)

    def _heads(self, connection: sa.Connection, stream: Stream, after: int, most: int) -> Iterator[Item]:
        rows = sa.select(audit_seal.c.number, audit_seal.c.document).where(
            audit_seal.c.writer == stream.writer, audit_seal.c.number > after
        )
        for number, text in connection.execute(rows.order_by(audit_seal.c.number).limit(most)):
            document = text.encode()
            sealed = opened(self.key, document)
            if sealed is None:  # `dgis audit verify` tells of it; there is nothing to vouch for
                yield Item(stream, number, ())
                continue
            header = syslog.Header(sealed.at_ms, self.source.host, stream.writer)
            made = syslog.message(header, head_message(self.source, sealed, document))
            yield Item(stream, number, (made,))


def first_waiting_ms(connection: sa.Connection, stream: Stream, after: int) -> int | None:
    """Return when the first entry after number `after` was written, epoch milliseconds."""
    waiting = sa.select(audit.c.at_ms).where(audit.c.writer == stream.writer, audit.c.number > after)
    found: int | None = connection.scalar(waiting.order_by(audit.c.number).limit(1))
    return found
