from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from deid.profile import Option, Profile
from deid.science.compare import CHANGED, GONE, HAD, KEPT, Fact
from deid.science.keys import Key, keys_of
from deid.tables.loader import records

_NOTHING = "-"
_FACTS = {"gone": GONE, "changed": CHANGED}
_OPTIONS = {option.column: option for option in Option}
# What an option that was chosen says of that which it did not keep.
_IN_SPITE = {Option.SAFE_PRIVATE: "safe-private keeps those alone that its list names, in the form it names"}


@dataclass(frozen=True, slots=True)
class Loss:
    """Something an instance is no longer good for, and the attributes that tell."""

    words: str
    fact: Fact
    attributes: tuple[Key, ...]
    needs: tuple[Key, ...]
    unless: tuple[Key, ...]
    keeps: str | None

    def is_told_by(self, facts: Mapping[Key, Fact]) -> bool:
        """Whether what happened to the attributes of an instance comes to this loss."""
        return (
            any(self.fact & facts.get(key, 0) for key in self.attributes)
            and all(HAD & facts.get(key, 0) for key in self.needs)
            and not any(KEPT & facts.get(key, 0) for key in self.unless)
        )

    def said(self, profile: Profile) -> str:
        """Return the words, with what would have kept it."""
        option = None if self.keeps is None else _OPTIONS.get(self.keeps)
        if self.keeps is None:
            why = "no option keeps it"
        elif option is not None and profile.has(option):
            why = _IN_SPITE.get(option, "its value is not known to be harmless")
        else:
            why = f"{self.keeps} keeps it"
        return f"{self.words} ({why})"


@cache
def losses() -> tuple[Loss, ...]:
    """Return what `losses.tsv` lists."""
    return tuple(
        Loss(
            words,
            _FACTS[fact],
            keys_of(which),
            _some(needs),
            _some(unless),
            None if keeps == _NOTHING else keeps,
        )
        for words, fact, which, needs, unless, keeps in records("losses.tsv")
    )


@cache
def told() -> frozenset[Key]:
    """Return the attributes that tell of a loss."""
    return frozenset(key for loss in losses() for key in (*loss.attributes, *loss.needs, *loss.unless))


def words_of(facts: Mapping[Key, Fact], profile: Profile) -> tuple[str, ...]:
    """Return in words what the options removed from an instance."""
    return tuple(loss.said(profile) for loss in losses() if loss.is_told_by(facts))


def _some(text: str) -> tuple[Key, ...]:
    return () if text == _NOTHING else keys_of(text)
