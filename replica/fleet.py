import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from replica.health import Health
from replica.latency import Latencies
from replica.placement import Place, Rule, in_order
from replica.standing import Standing
from replica.values import NodeState
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


@dataclass(frozen=True, slots=True)
class Share:
    """How much of all objects a node is to hold.

    Attributes:
        weight: against the other nodes.
        capacity_bytes: and no more than this; None: as long as it takes them.
    """

    weight: float = 1.0
    capacity_bytes: int | None = None


_EQUAL: Final = Share()
_COUNT: Final = {NodeState.ACTIVE, NodeState.READ_ONLY}


class Fleet:
    """The nodes that this gateway reaches, per kind of object, and how they do.

    A configured node is one name with a place for records and a place for sealed companions (another folder
    or bucket with credentials of its own); the kind of an object says which of the two is meant.

    Every put through it is verified: a copy counts only after its node gave account of it.

    Attributes:
        site: where this gateway stands; nodes there are read first.
        standing: what was decided about the nodes; replaced whole (`Replicas.look_at_nodes`).
        latencies: how long reads take, learned.
    """

    def __init__(
        self,
        nodes: Mapping[Kind, Iterable[Node]],
        site: str,
        clock_ms: Callable[[], int] = epoch_ms,
        proof: Proof = Proof.STATED,
        shares: Mapping[str, Share] | None = None,
    ) -> None:
        self.site: Final = site
        self.standing = Standing()
        self._shares = shares or {}
        self.health: Final = Health(clock_ms)
        self.latencies = Latencies()
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
        """Return the nodes whose copies count: in service, and not failing for longer than the patience."""
        return frozenset(name for name in self._nodes[kind] if self._counts(kind, name))

    def is_away(self, kind: Kind, name: str) -> bool:
        """Tell whether a node is in service and fails for so long that its copies do not count just now."""
        serves = name in self._nodes[kind] and self.standing.of(name) in _COUNT
        return serves and not self._counts(kind, name)

    def is_draining(self, kind: Kind, name: str) -> bool:
        """Tell whether a node is being drained and still answers."""
        gone = self.health.is_gone(kind, name, PATIENCE_MS)
        return self.standing.of(name) is NodeState.DRAINING and name in self._nodes[kind] and not gone

    def places(self, kind: Kind, names: Iterable[str]) -> tuple[Place, ...]:
        """Return those of `names` that are configured, as placement sees them."""
        known = (self._nodes[kind][name] for name in names if name in self._nodes[kind])
        return tuple(
            Place(node.name, node.site, node.kind, self._shares.get(node.name, _EQUAL).weight)
            for node in known
        )

    def homes(self, kind: Kind, held: Iterable[str]) -> tuple[Place, ...]:
        """Return where an object may belong: nodes that take objects, and those that hold it already."""
        takers = (name for name in self.counted(kind) if self.takes_objects(kind, name))
        return self.places(kind, {*takers, *(name for name in held if self._counts(kind, name))})

    def takes_objects(self, kind: Kind, name: str) -> bool:
        """Tell whether the node may be given an object at all: in service and below its capacity."""
        capacity = self._shares.get(name, _EQUAL).capacity_bytes
        full = capacity is not None and self.standing.used_bytes.get(name, 0) >= capacity
        return name in self._nodes[kind] and self.standing.of(name) is NodeState.ACTIVE and not full

    def targets(
        self,
        kind: Kind,
        name: ObjectName,
        rule: Rule,
        *,
        without: Iterable[str] = (),
        held: Iterable[str] = (),
    ) -> tuple[Node, ...]:
        """Return nodes to put an object on, in order: those that do well first, the others as a last resort.

        Args:
            kind: of the object.
            name: of the object.
            rule: of the object.
            without: nodes to leave out.
            held: nodes whose copies count already.
        """
        out = set(without)
        left = [node for node in self._nodes[kind] if node not in out and self.takes_objects(kind, node)]
        have = self.places(kind, held)
        ready = [node for node in left if self.health.takes_objects(kind, node)]
        first = in_order(name, self.places(kind, ready), have, rule)
        rest = self.places(kind, (node for node in left if node not in ready))
        last = in_order(name, rest, [*have, *first[: rule.copies]], rule)
        return tuple(self._nodes[kind][place.node] for place in (*first, *last))

    def _counts(self, kind: Kind, name: str) -> bool:
        gone = self.health.is_gone(kind, name, PATIENCE_MS)
        return name in self._nodes[kind] and self.standing.of(name) in _COUNT and not gone

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
        self.health.trying(kind, node)
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
