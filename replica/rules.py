"""Which rule an object falls under: the first whose facility, modality and kind match, else the default."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from replica.placement import Rule
from storage_nodes.addresses import Kind


@dataclass(frozen=True, slots=True)
class Labels:
    """What of an object rules look at; kept with it, so that a change of the rules reaches what is stored.

    Attributes:
        facility: where it comes from; empty: not known.
        modality: of its series (PS3.3 C.7.3.1.1.1); empty: not known.
    """

    facility: str = ""
    modality: str = ""


NO_LABELS: Final = Labels()


@dataclass(frozen=True, slots=True)
class Choice:
    """One rule and what it is for.

    Attributes:
        facility: shell pattern.
        modalities: empty: any.
        kind: None: records and sealed companions.
    """

    rule: Rule
    facility: str = "*"
    modalities: frozenset[str] = frozenset()
    kind: Kind | None = None

    def matches(self, kind: Kind, labels: Labels) -> bool:
        """Tell whether objects of this kind and with these labels fall under it."""
        return (
            self.kind in {None, kind}
            and fnmatchcase(labels.facility, self.facility)
            and (not self.modalities or labels.modality in self.modalities)
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a configuration; the first that matches decides."""

    default: Rule
    choices: tuple[Choice, ...] = ()

    def of(self, kind: Kind, labels: Labels) -> Rule:
        """Return the rule of an object."""
        return next((each.rule for each in self.choices if each.matches(kind, labels)), self.default)

    def __iter__(self) -> Iterator[Rule]:
        """Yield every rule, the default last."""
        yield from (each.rule for each in self.choices)
        yield self.default
