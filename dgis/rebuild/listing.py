"""What the nodes list, merged by name: every object once, with the copies that lie there."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from replica.fleet import Fleet
from storage_nodes.addresses import Address, Kind
from storage_nodes.errors import NodeError
from storage_nodes.names import ObjectName


class Copy(NamedTuple):
    """One object as one node lists it; size in bytes, time in epoch milliseconds by the node's clock."""

    name: ObjectName
    node: str
    size: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """One object on the nodes; `address` is None where the gateway did not name it so."""

    name: ObjectName
    address: Address | None
    copies: tuple[Copy, ...]

    @property
    def modified_ms(self) -> int:
        """When the first copy that is left was put."""
        return min(copy.modified_ms for copy in self.copies)


def found_on(fleet: Fleet, kind: Kind, unreachable: dict[str, str]) -> Iterator[Found]:
    """Yield the objects of a kind by name; what is wrong with nodes that fail goes into `unreachable`.

    Nodes list by ascending name, so they are merged as they list, and nothing is held in memory.
    """
    lists = [_listed(fleet, kind, name, unreachable) for name in fleet.names(kind)]
    for name, copies in groupby(heapq.merge(*lists), key=attrgetter("name")):
        yield Found(name, Address.parse(name), tuple(copies))


def _listed(fleet: Fleet, kind: Kind, node_name: str, unreachable: dict[str, str]) -> Iterator[Copy]:
    node = fleet.node(kind, node_name)
    if node is None:
        return
    try:
        with fleet.watched(kind, node_name):
            for stat in node.list(f"{kind}/"):
                yield Copy(stat.name, node_name, stat.size, stat.modified_ms)
    except NodeError as error:
        unreachable[node_name] = error.trouble
