from dataclasses import dataclass

from replica.fleet import Fleet
from replica.rows import Entry
from replica.values import CopyState
from storage_nodes.errors import NodeError, ObjectDamaged, ObjectMissing
from storage_nodes.wrappers.verify import digest_of


@dataclass(frozen=True, slots=True)
class Finding:
    """What reading a copy showed.

    Attributes:
        state: AVAILABLE, BAD or LOST; None: the node does not say just now.
        trouble: in words, unless all is well.
    """

    state: CopyState | None
    trouble: str | None = None


def examine(fleet: Fleet, entry: Entry, node_name: str) -> Finding:
    """Read a copy whole, hash it, and say what it is."""
    node = fleet.node(entry.kind, node_name)
    if node is None:
        return Finding(None, "is not configured")
    try:
        with fleet.watched(entry.kind, node_name):
            size = node.stat(entry.name).size
            if size != entry.size_bytes:
                return Finding(CopyState.BAD, f"has {size} bytes instead of {entry.size_bytes}")
            if digest_of(node, entry.name, size) != entry.sha256:
                return Finding(CopyState.BAD, "has other bytes than were put")
    except ObjectMissing as error:
        return Finding(CopyState.LOST, error.trouble)
    except ObjectDamaged as error:
        return Finding(CopyState.BAD, error.trouble)
    except NodeError as error:
        return Finding(None, error.trouble)
    return Finding(CopyState.AVAILABLE)
