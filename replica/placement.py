"""Where copies belong: weighted rendezvous hashing under a rule. Pure; every gateway computes the same."""

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from storage_nodes.names import ObjectName

_STEPS: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class Place:
    """A node as placement sees it.

    Attributes:
        kind: what it is, in one word (`storage_nodes.node.Node.kind`).
        weight: its share of all objects, against the other places.
    """

    node: str
    site: str
    kind: str = "folder"
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How many copies an object is to have, and where.

    Attributes:
        copies: the full number, reached by the publisher or, later, by the fill worker.
        write_quorum: how many must be verified before the object is committed.
        sites: over how many sites the full number must be spread.
        node_kinds: how many of the copies must lie on nodes of a kind, at least: (kind, number).
    """

    copies: int
    write_quorum: int
    sites: int = 1
    node_kinds: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.write_quorum <= self.copies:
            raise ValueError("write_quorum lies between 1 and copies")
        if not 1 <= self.sites <= self.copies:
            raise ValueError("sites lies between 1 and copies")
        if sum(number for _, number in self.node_kinds) > self.copies:
            raise ValueError("node_kinds asks for more nodes than there are copies")

    def missing(self, held: Collection[Place]) -> int:
        """Return how many copies must be added, at least, to those that lie at these places.

        More than `copies` may be needed in all: where the sites are too few, another copy on another site.
        """
        too_few_sites = self.sites - len({place.site for place in held})
        too_few_of_a_kind = sum(self.short_of_kinds(held).values())
        return max(self.copies - len(held), too_few_sites, too_few_of_a_kind, 0)

    def shortfall(self, held: Collection[Place]) -> int:
        """Return copies, sites and nodes of a kind that are wanted still, added up: what helps lowers it."""
        too_few_sites = max(self.sites - len({place.site for place in held}), 0)
        too_few_copies = max(self.copies - len(held), 0)
        return too_few_copies + too_few_sites + sum(self.short_of_kinds(held).values())

    def short_of_kinds(self, held: Collection[Place]) -> dict[str, int]:
        """Return the kinds of node of which there are too few, and how many more it takes."""
        kinds = Counter(place.kind for place in held)
        return {kind: number - kinds[kind] for kind, number in self.node_kinds if number > kinds[kind]}


def why_impossible(rule: Rule, places: Collection[Place]) -> str | None:
    """Return in words why these places can never satisfy the rule; None: they can."""
    if len(places) < rule.copies:
        return f"copies is {rule.copies} but there are {len(places)} nodes"
    sites = {place.site for place in places}
    if len(sites) < rule.sites:
        return f"sites is {rule.sites} but the nodes stand on {len(sites)}"
    for kind, number in rule.short_of_kinds(places).items():
        wanted = dict(rule.node_kinds)[kind]
        return f"node_kinds asks for {wanted} of kind {kind} but there are {wanted - number}"
    needed = _need(rule, (), places)
    if needed > rule.copies:
        return f"sites and node_kinds together take {needed} copies and copies is {rule.copies}"
    return None


def in_order(
    name: ObjectName, places: Iterable[Place], held: Collection[Place] = (), rule: Rule = Rule(1, 1)
) -> tuple[Place, ...]:
    """Return all places in the order in which they should get copies of an object.

    Each place draws a number from its own and the object's name, scaled by its weight; the highest comes
    first (rendezvous hashing): a new place takes its share from all others, a lost one leaves its share to
    all, and nothing else moves. Over that, sites take turns: no site gets its second copy before every site
    had its first. Over that, the rule: a place that would leave too few copies for what the rule still wants
    of other sites or kinds is passed over; what no place can give is not waited for.

    Args:
        name: of the object.
        places: candidates, without those that hold a copy.
        held: places of the copies that there are.
        rule: of the object.
    """
    return tuple(_picks(name, places, held, rule))


def chosen(name: ObjectName, places: Collection[Place], rule: Rule) -> tuple[Place, ...]:
    """Return the places where an object belongs when it may lie at any of them."""
    return tuple(islice(_picks(name, places, (), rule), rule.copies))


def _picks(name: ObjectName, places: Iterable[Place], held: Collection[Place], rule: Rule) -> Iterator[Place]:
    left = sorted(places, key=lambda place: (_draw(name, place), place.node), reverse=True)
    have = list(held)
    turns = Counter(place.site for place in have)
    while left:
        room = max(rule.copies - len(have), _need(rule, have, left))
        by_turn = sorted(left, key=lambda place: turns[place.site])
        pick = next((place for place in by_turn if _leaves_room(rule, have, left, place, room)), by_turn[0])
        left.remove(pick)
        have.append(pick)
        turns[pick.site] += 1
        yield pick


def _leaves_room(rule: Rule, have: Sequence[Place], left: Sequence[Place], place: Place, room: int) -> bool:
    if room <= 0:
        return True
    others = [each for each in left if each is not place]
    return _need(rule, [*have, place], others) < room


def _need(rule: Rule, have: Collection[Place], left: Collection[Place]) -> int:
    """Return how few of the places `left` give what sites and kinds still want, as far as they can."""
    kinds = Counter(place.kind for place in left)
    short = {kind: min(number, kinds[kind]) for kind, number in rule.short_of_kinds(have).items()}
    known = {place.site for place in have}
    new_sites: dict[str, set[str]] = {}
    for place in left:
        if place.site not in known:
            new_sites.setdefault(place.site, set()).add(place.kind)
    short_of_sites = min(max(rule.sites - len(known), 0), len(new_sites))
    covered = _most_sites(short, new_sites) if short and short_of_sites else 0
    return sum(short.values()) + max(short_of_sites - covered, 0)


def _most_sites(short: Mapping[str, int], new_sites: Mapping[str, Collection[str]]) -> int:
    """Return how many new sites nodes of the wanted kinds can stand on at most (bipartite matching)."""
    wanted = [kind for kind, number in short.items() for _ in range(number)]
    taken: dict[str, int] = {}

    def seat(index: int, asked: set[str]) -> bool:
        for site, kinds in new_sites.items():
            if site in asked or wanted[index] not in kinds:
                continue
            asked.add(site)
            if site not in taken or seat(taken[site], asked):
                taken[site] = index
                return True
        return False

    return sum(seat(index, set()) for index in range(len(wanted)))


def _draw(name: ObjectName, place: Place) -> float:
    """Return the place's number: the highest wins with a probability that goes with its weight.

    -w / ln(u) for u uniform in (0, 1): C. Schindelhauer and G. Schomaker, Weighted Distributed Hash Tables
    (SPAA 2005).
    """
    digest = hashlib.sha256(f"{place.node}\n{name}".encode()).digest()
    uniform = (int.from_bytes(digest[:8]) + 0.5) / _STEPS
    return -place.weight / math.log(uniform) if uniform < 1 else math.inf
