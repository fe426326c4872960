from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache

from deid.outcome import WithheldReason
from deid.tables.loader import records

_ANY = "*"
_PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of an instance without looking at its pixels: the values that rules match against."""

    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    burned_in: str
    samples: str


@dataclass(frozen=True, slots=True)
class PixelRule:
    """One line of a rule file: patterns, `*` for anything, and the reason to withhold (None: publish)."""

    reason: WithheldReason | None
    sop_class: str
    modality: str
    image_type: str
    burned_in: str
    samples: str

    def matches(self, shown: Shown) -> bool:
        """Whether every pattern of the rule fits."""
        return (
            _fits(self.sop_class, shown.sop_class)
            and self.modality in {_ANY, shown.modality}
            and (self.image_type == _ANY or self.image_type in shown.image_type)
            and self.burned_in in {_ANY, shown.burned_in}
            and self.samples in {_ANY, shown.samples}
        )


def parse_rule(line: Sequence[str]) -> PixelRule:
    """Return the rule a line of a rule file states.

    Raises:
        ValueError: the line has not six fields, or its verdict is neither `publish` nor a reason to withhold.
    """
    verdict, *patterns = line
    if len(patterns) != len(fields(PixelRule)) - 1:
        raise ValueError("a pixel rule has six fields")
    if verdict != _PUBLISH and verdict not in WithheldReason.__members__:
        raise ValueError(f"{verdict} is no verdict on pixels")
    return PixelRule(None if verdict == _PUBLISH else WithheldReason[verdict], *patterns)


@cache
def standard_rules() -> tuple[PixelRule, ...]:
    """Return the rules that come with the gateway; a site puts its own before them."""
    return tuple(parse_rule(line) for line in records("pixel_rules.tsv"))


def verdict(shown: Shown, rules: Sequence[PixelRule]) -> WithheldReason | None:
    """Return why an instance must be withheld, None where it may be published; the unknown is withheld."""
    for rule in rules:
        if rule.matches(shown):
            return rule.reason
    return WithheldReason.UNKNOWN_SOP_CLASS


def _fits(pattern: str, value: str) -> bool:
    if pattern.endswith(_ANY):
        return value.startswith(pattern[:-1])
    return pattern == value
