"""Heads of the trail, signed and put beyond the database: on the nodes, beside the sealed companions."""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Final

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from catalog.audit import trail
from catalog.audit.seal import SealedHead, opened, seal
from catalog.sql import insert_ignoring
from catalog.tables import audit_seal
from replica.fleet import Fleet
from storage_nodes.addresses import Kind
from storage_nodes.errors import NodeError
from storage_nodes.names import ObjectName

_log = structlog.get_logger(__name__)

PREFIX: Final = "audit/"
_UNNAMEABLE = re.compile(r"[^a-z0-9-]+")


class TrailSealer:
    """Signs every head that moved since the last time; `run_once` is the worker's chore.

    Nodes first, each as far as it answers, then the database (the commit point): a crash in between leaves a
    signed head on nodes that is true all the same, and the next round signs a later one.
    """

    def __init__(
        self, engine: sa.Engine, fleet: Fleet, key: Ed25519PrivateKey, clock_ms: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._fleet = fleet
        self._key = key
        self._clock_ms = clock_ms

    def run_once(self) -> int:
        """Sign what moved; returns how many heads."""
        with self._engine.connect() as connection:
            heads = trail.heads(connection)
            last = sa.select(audit_seal.c.writer, sa.func.max(audit_seal.c.number).label("number"))
            rows = connection.execute(last.group_by(audit_seal.c.writer))
            signed = {row.writer: row.number for row in rows}
        moved = [head for head in heads if head.number > signed.get(head.writer, 0)]
        for head in moved:
            document = seal(self._key, SealedHead(head, self._clock_ms()))
            self._export(head.writer, head.number, document)
            row = {"writer": head.writer, "number": head.number, "document": document.decode("ascii")}
            with self._engine.begin() as connection:
                connection.execute(insert_ignoring(connection, audit_seal), row)
        return len(moved)

    def _export(self, writer: str, number: int, document: bytes) -> None:
        digest = hashlib.sha256(document).digest()
        place = _UNNAMEABLE.sub("-", writer.lower()).strip("-") or "writer"
        # Sorted by number, and in groups: ten digits in a row would look like somebody's record number.
        order = f"{number:015,}".replace(",", "-")
        name = ObjectName(f"{PREFIX}{place}/{order}.{digest.hex()[:16]}")
        for node_name in self._fleet.names(Kind.SEALED):
            node = self._fleet.node(Kind.SEALED, node_name)
            if node is None:
                continue
            try:
                with self._fleet.watched(Kind.SEALED, node_name):
                    node.put(name, document, digest)
            except NodeError as error:
                _log.info("head_not_exported", node=node_name, trouble=error.trouble)


def documents(connection: sa.Connection) -> Iterator[bytes]:
    """Yield the signed heads that the database holds."""
    for text in connection.scalars(sa.select(audit_seal.c.document)):
        yield text.encode()


def exported(fleet: Fleet, unreachable: list[str]) -> Iterator[bytes]:
    """Yield the signed heads on every node that answers; the names of the others go into `unreachable`."""
    for node_name in fleet.names(Kind.SEALED):
        node = fleet.node(Kind.SEALED, node_name)
        if node is None:
            continue
        try:
            for stat in node.list(PREFIX):
                yield node.get(stat.name)
        except NodeError:
            unreachable.append(node_name)


def sealed_heads(key: Ed25519PublicKey, found: Iterator[bytes]) -> tuple[set[SealedHead], int]:
    """Return the heads this site has signed among documents, and how many documents it has not."""
    distinct = set(found)
    heads = {document: opened(key, document) for document in distinct}
    known = {sealed for sealed in heads.values() if sealed is not None}
    return known, sum(sealed is None for sealed in heads.values())
