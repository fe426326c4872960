from typing import Final

from storage_nodes.node import Node
from storage_nodes.wrappers.limits import Limited, Limits
from storage_nodes.wrappers.retry import Backoff, Retried

_LIMITS: Final = Limits()
_BACKOFF: Final = Backoff()


def guarded(node: Node, limits: Limits = _LIMITS, backoff: Backoff = _BACKOFF) -> Node:
    """Return the node as a gateway should hold it: calls end in time, passing trouble is tried again.

    The limit is inside, so that each attempt has its own time. Puts are verified further out, by whoever
    counts copies (`replica.fleet`).
    """
    return Retried(Limited(node, limits), backoff)
