import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

from replica.health import Health
from replica.placement import Place, in_order
from storage_nodes.addresses import Kind
from storage_nodes.errors import NodeError
from storage_nodes.names import ObjectName
from storage_nodes.node import Node
from storage_nodes.wrappers.verify import Proof, Verified

_PROBE: Final = ObjectName("probe/none")
"""An object that nobody puts: asking for it costs one small call and answers whether the node is there."""
PATIENCE_MS: Final = 15 * 60_000
"""A node that restarts must not set off the copying of all it holds; one that is away longer is replaced."""


def epoch_ms() -> int:
    """Return the time, epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Fleet:
    """The nodes that this gateway reaches, per kind of object, and how they do.

    A configured node is one name with a place for records and a place for sealed companions (another folder
    or bucket with credentials of its own); the kind of an object says which of the two is meant.

    Every put through it is verified: a copy counts only after its node gave account of it.

    Attributes:
        site: where this gateway stands; nodes there are read first.
    """

    def __init__(
        self,
        nodes: Mapping[Kind, Iterable[Node]],
        site: str,
        clock_ms: Callable[[], int] = epoch_ms,
        patience_ms: int = PATIENCE_MS,
        proof: Proof = Proof.STATED,
    ) -> None:
        self.site: Final = site
        self.health: Final = Health(clock_ms)
        self._patience_ms = patience_ms
        self._nodes = {
            kind: {node.name: Verified(node, proof) for node in nodes.get(kind, ())} for kind in Kind
        }

    def node(self, kind: Kind, name: str) -> Node | None:
        """Return a node by name; None where the index speaks of one that is not configured (any more)."""
        return self._nodes[kind].get(name)

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of all configured nodes."""
        return tuple(self._nodes[kind])

    def counted(self, kind: Kind) -> frozenset[str]:
        """Return the nodes whose copies count: configured, and not failing for longer than the patience."""
        gone = self.health.is_gone
        return frozenset(name for name in self._nodes[kind] if not gone(kind, name, self._patience_ms))

    def site_of(self, kind: Kind, name: str) -> str | None:
        """Return where a node stands."""
        node = self.node(kind, name)
        return node.site if node else None

    def targets(
        self, kind: Kind, name: ObjectName, *, without: Iterable[str] = (), held: Iterable[str] = ()
    ) -> tuple[Node, ...]:
        """Return nodes to put an object on, in order: those that do well first, the others as a last resort.

        Args:
            kind: of the object.
            name: of the object.
            without: nodes to leave out.
            held: nodes whose copies count already; their sites come later.
        """
        left = [node for node in self._nodes[kind].values() if node.name not in set(without)]
        sites = [site for site in (self.site_of(kind, node) for node in held) if site is not None]
        ready = [node for node in left if self.health.takes_objects(kind, node.name)]
        ordered = [
            place.node
            for group in (ready, [node for node in left if node not in ready])
            for place in in_order(name, (Place(node.name, node.site) for node in group), sites)
        ]
        return tuple(self._nodes[kind][node] for node in ordered)

    def nearest_first(self, kind: Kind, name: ObjectName, nodes: Iterable[str]) -> tuple[str, ...]:
        """Return those of `nodes` that are configured, in the order to read from them.

        Nodes that do well before others, then those of this gateway's site, then by the object's own draw,
        so that reads of many objects spread over equally near nodes.
        """
        known = [self._nodes[kind][node] for node in nodes if node in self._nodes[kind]]
        draw = {
            place.node: turn
            for turn, place in enumerate(in_order(name, (Place(node.name, "") for node in known)))
        }
        known.sort(
            key=lambda node: (
                not self.health.is_well(kind, node.name),
                node.site != self.site,
                draw[node.name],
            )
        )
        return tuple(node.name for node in known)

    @contextmanager
    def watched(self, kind: Kind, node: str) -> Iterator[None]:
        """Learn the node's health from what happens inside; errors pass through."""
        try:
            yield
        except NodeError as error:
            if error.node == node:
                self.health.failed(kind, node, error)
            raise
        self.health.worked(kind, node)

    def probe(self) -> None:
        """Ask every node for one small thing, so that health is known without waiting for work."""
        for kind, nodes in self._nodes.items():
            for node in nodes.values():
                with suppress(NodeError), self.watched(kind, node.name):
                    node.stat(_PROBE)
