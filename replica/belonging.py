"""Whether copies lie where they belong: by the rule, the draw, and what was decided about the nodes."""

from collections.abc import Collection

from replica.context import Replicas
from replica.placement import chosen
from replica.rows import Entry


def belongs_on(replicas: Replicas, entry: Entry, held: Collection[str]) -> tuple[str, ...]:
    """Return the nodes where the object's copies belong, of those that are there now.

    Args:
        replicas: rules and nodes.
        entry: the object.
        held: nodes with a good copy.
    """
    rule = replicas.rules.of(entry.kind, entry.labels)
    homes = replicas.fleet.homes(entry.kind, held)
    return tuple(place.node for place in chosen(entry.name, homes, rule))


def surplus(replicas: Replicas, entry: Entry, held: Collection[str], belongs: Collection[str]) -> list[str]:
    """Return the nodes whose good copy belongs elsewhere.

    Not those that are only away: when they are back, theirs are the copies that belong.
    """
    fleet = replicas.fleet
    return [node for node in held if node not in belongs and not fleet.is_away(entry.kind, node)]


def is_misplaced(replicas: Replicas, entry: Entry, held: Collection[str]) -> bool:
    """Tell whether a copy should be made elsewhere, or is not wanted where it lies."""
    belongs = belongs_on(replicas, entry, held)
    return bool(set(belongs) - set(held) or surplus(replicas, entry, held, belongs))
