import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from storage_nodes.addresses import Kind
from storage_nodes.errors import NodeError, NodeFull, NodeRefused, NodeUnavailable

_FIRST_PAUSE_MS: Final = 1_000
_LONGEST_PAUSE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Condition:
    """How a node has been doing lately, as this gateway saw it.

    Attributes:
        down_since_ms: since when it fails without a success between; None: it answers.
        trouble: its last failure in words.
        ask_again_ms: until then it is asked only when no other can help.
        full_until_ms: until then it is not given new objects first.
    """

    down_since_ms: int | None = None
    trouble: str | None = None
    failures: int = 0
    ask_again_ms: int = 0
    full_until_ms: int = 0


class Health:
    """What this gateway knows of its nodes, learned from work, kept in memory, never trusted for long.

    A circuit breaker for each: a node that failed is passed over for a second, then twice as long after each
    further failure, up to a minute; then one call may find out (`trying`). Only NodeUnavailable, NodeRefused
    and NodeFull speak of the node; a missing or damaged object speaks of a copy.
    """

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._lock = threading.Lock()
        self._conditions: dict[tuple[Kind, str], Condition] = {}

    def condition(self, kind: Kind, node: str) -> Condition:
        """Return how the node does; one never asked is well."""
        with self._lock:
            return self._conditions.get((kind, node), Condition())

    def is_well(self, kind: Kind, node: str) -> bool:
        """Tell whether to ask the node before others."""
        return self._clock_ms() >= self.condition(kind, node).ask_again_ms

    def takes_objects(self, kind: Kind, node: str) -> bool:
        """Tell whether to offer the node new objects before others."""
        return self.is_well(kind, node) and self._clock_ms() >= self.condition(kind, node).full_until_ms

    def is_gone(self, kind: Kind, node: str, patience_ms: int) -> bool:
        """Tell whether the node has been failing for longer than `patience_ms`."""
        since = self.condition(kind, node).down_since_ms
        return since is not None and self._clock_ms() - since > patience_ms

    def trying(self, kind: Kind, node: str) -> None:
        """Note that a call begins: after a pause one finds out, and until it ends others go elsewhere."""
        now = self._clock_ms()
        with self._lock:
            known = self._conditions.get((kind, node))
            if known is not None and known.failures and now >= known.ask_again_ms:
                self._conditions[kind, node] = replace(
                    known, ask_again_ms=now + _pause_ms(known.failures - 1)
                )

    def worked(self, kind: Kind, node: str) -> None:
        """Note that the node did what it was asked, or answered sensibly."""
        with self._lock:
            known = self._conditions.get((kind, node))
            if known is not None and known.failures:
                self._conditions[kind, node] = Condition(full_until_ms=known.full_until_ms)

    def failed(self, kind: Kind, node: str, error: NodeError) -> None:
        """Note a failure; what is no fault of the node counts as an answer."""
        now = self._clock_ms()
        if isinstance(error, NodeFull):
            with self._lock:
                known = self._conditions.get((kind, node), Condition())
                self._conditions[kind, node] = replace(
                    known, trouble=error.trouble, full_until_ms=now + _LONGEST_PAUSE_MS
                )
        elif isinstance(error, NodeUnavailable | NodeRefused):
            with self._lock:
                known = self._conditions.get((kind, node), Condition())
                self._conditions[kind, node] = Condition(
                    down_since_ms=now if known.down_since_ms is None else known.down_since_ms,
                    trouble=error.trouble,
                    failures=known.failures + 1,
                    ask_again_ms=now + _pause_ms(known.failures),
                    full_until_ms=known.full_until_ms,
                )
        else:
            self.worked(kind, node)


def _pause_ms(failures: int) -> int:
    return min(_FIRST_PAUSE_MS << min(failures, 16), _LONGEST_PAUSE_MS)
