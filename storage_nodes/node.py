from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from storage_nodes.names import ObjectName

Buffer: TypeAlias = bytes | bytearray | memoryview
Body: TypeAlias = Buffer | Sequence[Buffer]
"""One object's bytes, whole or in pieces.

Pieces may be made when asked for (a copy streamed from another node); a node may go through them more than
once and keeps at most a few at a time.
"""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What not every node can do.

    Attributes:
        conditional_put: of two puts of *different* bytes under one name, at any moment and from anywhere, one
            fails with NameTaken. Without it that holds only if one was complete before the other began.
    """

    conditional_put: bool


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What a node says of an object without being read.

    Attributes:
        size: bytes.
        sha256: as the node *states* it: what was written once, not what lies there. None: it keeps none.
        modified_ms: epoch milliseconds by the node's clock.
    """

    name: ObjectName
    size: int
    sha256: bytes | None
    modified_ms: int


class Node(Protocol):
    """A place that holds immutable objects: a folder, a bucket.

    Objects are written whole, once, never changed. Every method may be called from several threads at once
    and raises NodeError only; besides those it names, NodeUnavailable and NodeRefused.
    """

    @property
    def name(self) -> str:
        """As configured; the replica index knows the node by it."""

    @property
    def site(self) -> str:
        """Where it stands; copies are spread over sites, and read from the nearest."""

    @property
    def kind(self) -> str:
        """What it is, in one word."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do beyond the rest."""

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Put an object where there is none.

        Durable: when it returns, the object survives a crash of this process, and of the node as far as the
        node promises. Atomic: the object is visible whole or not at all, at every moment; a crash leaves
        nothing under the name, at most a hidden leftover that the node removes later. Idempotent: equal
        bytes under the name are success, also when several put them at once.

        Raises:
            NameTaken: other bytes are there; they are left as they are.
            NodeFull: no room; what was begun is removed.
            DigestMismatch: the body, or what arrived of it, has another SHA-256; nothing is visible.
        """

    def get(self, name: ObjectName) -> bytes:
        """Return the whole object as it lies there; whoever knows its digest compares (wrappers/verify.py).

        Raises:
            ObjectMissing: there is none.
            ObjectDamaged: its medium fails.
        """

    def get_range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Return exactly `length` bytes, at least one, from offset `start`.

        Raises:
            ObjectMissing: there is none.
            ObjectDamaged: the object ends before the range does, or its medium fails.
            ValueError: a negative start or a length below one, before the node is asked.
        """

    def stat(self, name: ObjectName) -> ObjectStat:
        """Return what the node says of the object.

        Raises:
            ObjectMissing: there is none, and the node is sure to be the right one and there.
        """

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Yield the objects whose names begin with `prefix`, by ascending name.

        An object that is there all the time is yielded once; one put or deleted meanwhile, once or never.
        What lies there under a name that is no ObjectName is passed over.
        """

    def delete(self, name: ObjectName) -> None:
        """Remove the object; where there is none that is success. Durable as put is.

        Raises:
            ObjectLocked: the node was told to keep it longer; it can be read as before.
        """

    def clean_leftovers(self, older_than_seconds: float) -> int:
        """Remove what crashed puts left hidden, begun longer ago than any put takes; returns how many."""


def check_range(start: int, length: int) -> None:
    """Raise ValueError for a range that no object can have; every node calls it first."""
    if start < 0 or length < 1:
        raise ValueError("a range starts at 0 or later and has at least one byte")
