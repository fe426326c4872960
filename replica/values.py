from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from replica.rules import NO_LABELS, Labels
from storage_nodes.addresses import Address, Kind
from storage_nodes.names import ObjectName, RecordKey


class CopyState(StrEnum):
    """What is known of one copy; the words are Rucio's.

    COPYING: meant to be there, or on its way. Says nothing of the node: there may be nothing, or all of it.
    AVAILABLE: was read back with the right digest at `verified_ms`. Only these are read from.
    SUSPICIOUS: a reader got an error or wrong bytes; to be checked.
    BAD: checked, other bytes. LOST: checked, nothing there. Both are replaced from an AVAILABLE copy.
    OBSOLETE: no longer wanted; to be removed from the node.
    """

    COPYING = "copying"
    AVAILABLE = "available"
    SUSPICIOUS = "suspicious"
    BAD = "bad"
    LOST = "lost"
    OBSOLETE = "obsolete"


class NodeState(StrEnum):
    """What an operator decided about a node.

    NEW: configured, and nobody added it yet; it is not given objects.
    ACTIVE: takes objects, its copies count. READ_ONLY: takes none, its copies count.
    DRAINING: takes none, its copies do not count, but they are read, and copied from.
    REMOVED: as if it were not configured.
    """

    NEW = "new"
    ACTIVE = "active"
    READ_ONLY = "read-only"
    DRAINING = "draining"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object that is to be put on nodes.

    Attributes:
        layout: what a reader wants to know before its first read, as JSON; opaque here.
        labels: what decides under which rule it falls.
    """

    record_key: RecordKey
    kind: Kind
    size_bytes: int
    sha256: bytes
    layout: Mapping[str, Any] | None = None
    labels: Labels = NO_LABELS

    @property
    def name(self) -> ObjectName:
        """What it is called on every node: key and content hash."""
        return Address(self.kind, self.record_key, self.sha256).name


@dataclass(frozen=True, slots=True)
class Stored:
    """Enough copies lie on nodes, verified; nothing is true of it for readers before `commit_copies`.

    Attributes:
        object_id: row of the intent.
        intent: its token: if another attempt replaced it, the commit is refused.
        held: nodes with a verified copy.
        complete: these are all the copies that the rule wants, where it wants them.
        failures: node -> what went wrong there, in words.
    """

    object_id: int
    name: ObjectName
    intent: str
    held: tuple[str, ...]
    complete: bool
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotStored:
    """The write quorum was not reached, or nobody may put the object just now; nothing was published.

    Attributes:
        reason: in words, for the row of the job and for `dgis series show`.
        held: nodes with a verified copy; they are found again by the next attempt, or cleaned.
        failures: node -> what went wrong there, in words.
    """

    reason: str
    held: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Located:
    """A committed object and where it can be read, the best place first.

    Attributes:
        nodes: names; empty where no copy is known to be good.
    """

    object_id: int
    name: ObjectName
    record_key: RecordKey
    kind: Kind
    size_bytes: int
    sha256: bytes
    layout: Mapping[str, Any] | None
    nodes: tuple[str, ...]
