"""Where copies belong: rendezvous hashing, spread over sites. Pure; every gateway computes the same."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from storage_nodes.names import ObjectName


@dataclass(frozen=True, slots=True)
class Place:
    """A node as placement sees it."""

    node: str
    site: str


@dataclass(frozen=True, slots=True)
class Rule:
    """How many copies an object of some kind is to have.

    Attributes:
        copies: the full number, reached by the publisher or, later, by the fill worker.
        write_quorum: how many must be verified before the object is committed.
        sites: over how many sites the full number must be spread.
    """

    copies: int
    write_quorum: int
    sites: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.write_quorum <= self.copies:
            raise ValueError("write_quorum lies between 1 and copies")
        if not 1 <= self.sites <= self.copies:
            raise ValueError("sites lies between 1 and copies")

    def missing(self, sites_held: Collection[str]) -> int:
        """Return how many copies must be added to copies on these sites (one entry a copy).

        More than `copies` may be needed in all: where the sites are too few, another copy on another site.
        """
        too_few_sites = self.sites - len(set(sites_held))
        return max(self.copies - len(sites_held), too_few_sites, 0)


def in_order(name: ObjectName, places: Iterable[Place], held: Collection[str] = ()) -> tuple[Place, ...]:
    """Return all places in the order in which they should get copies of an object.

    Each place draws a number from its own and the object's name; the highest comes first (rendezvous
    hashing): a new place takes its share from all others alike, a lost one leaves its share to all alike,
    and nothing else moves. Over that, sites take turns: no site gets its second copy before every site had
    its first.

    Args:
        name: of the object.
        places: candidates, without those that hold a copy.
        held: sites of the copies that there are, one entry a copy.
    """
    turns = {site: list(held).count(site) for site in held}
    ordered = []
    for place in sorted(places, key=lambda place: (_draw(name, place.node), place.node), reverse=True):
        turn = turns.get(place.site, 0)
        turns[place.site] = turn + 1
        ordered.append((turn, place))
    return tuple(place for _, place in sorted(ordered, key=lambda entry: entry[0]))


def _draw(name: ObjectName, node: str) -> bytes:
    return hashlib.sha256(f"{node}\n{name}".encode()).digest()
