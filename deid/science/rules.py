from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from deid.profile import Option, Profile, rules_of
from deid.science.keys import Key, is_private, keys_of
from deid.tables.loader import never_published, records, safe_private


class How(StrEnum):
    """How a published value has to keep its original."""

    NUMBER = "number"
    VALUE = "value"
    TERMS = "terms"
    AGE = "age"
    DIFFERENCE = "difference"
    UID = "uid"
    BYTES = "bytes"
    CSA = "csa"


@dataclass(frozen=True, slots=True)
class Need:
    """One attribute science needs: for what, how it is kept, and whether the check fails when it is gone."""

    topic: str
    how: How
    must_stay: bool


@cache
def needs() -> Mapping[Key, Need]:
    """Return what `science.tsv` lists."""
    found: dict[Key, Need] = {}
    for topic, how, gone, attributes in records("science.tsv"):
        if gone not in {"fails", "may"}:
            raise ValueError(f"{gone} is no word for what becomes of the check")
        found |= dict.fromkeys(keys_of(attributes), Need(topic, How(how), gone == "fails"))
    return found


_NUMBERS = ("AT", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV")
BULK = ("OB", "OD", "OF", "OL", "OV", "OW")
# What no table lists must not change, either; text and code strings may (other tables say to what).
BY_VR: Mapping[str, How] = {
    **dict.fromkeys(_NUMBERS, How.NUMBER),
    **dict.fromkeys(BULK, How.BYTES),
    **dict.fromkeys(("DA", "DT", "TM"), How.DIFFERENCE),
    "UI": How.UID,
}


class Keeping:
    """Whether the chosen options keep an attribute, by PS3.15 Table E.1-1 and the safe private ones."""

    def __init__(self, profile: Profile) -> None:
        """Bind a profile."""
        self._rule = rules_of(profile)
        self._private = safe_private() if profile.has(Option.SAFE_PRIVATE) else {}
        self._known: dict[int, bool] = {}

    def keeps(self, tag: int, key: Key | None) -> bool:
        """Whether an attribute with a value as it should be has to be published."""
        if is_private(tag):
            return isinstance(key, tuple) and key in self._private
        kept = self._known.get(tag)
        if kept is None:
            kept = self._known[tag] = self._public(tag)
        return kept

    def _public(self, tag: int) -> bool:
        if tag in never_published():
            return False
        rule = self._rule(tag)
        # Actions that end in U map UIDs (PS3.15 E.1): what they name stays, under a pseudonym.
        return rule is None or rule.option is not None or rule.basic.endswith(("U", "U*"))
