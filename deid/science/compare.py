from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from deid.elements import WalkError
from deid.profile import Profile
from deid.science.dates import Verdict
from deid.science.keys import PRIVATE, Key, is_private, key_of, name_of
from deid.science.rules import BULK, BY_VR, How, Keeping, needs
from deid.science.same import Mapped, is_sound, verdict
from deid.science.seen import Seen, creators_of, is_sequence, levels
from deid.tables.loader import safe_private
from deid.vr import is_private_creator, standard_vr

# Where a value may not stay but something has to stand there; unknown codes have a scheme of their own.
_STAND_INS = frozenset(
    {b"REMOVED", b"UNKNOWN", b"0", b"19000101", b"000000", b"19000101000000", b"000Y", b"99DGIS"}
)
_UNSPECIFIED = {0x00281054: b"US"}  # RescaleType (PS3.3 C.11.1.1.2)
_ZEROS = frozenset(map(bytes, (2, 4, 8)))
# What a de-identified instance says of its de-identification, whatever the original said.
_OWN_CLAIMS = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
_REBUILT = frozenset({0x00282000})  # colour profiles are written anew without their texts (deid/icc.py)
# Entries of the list of coding schemes go one by one (PS3.3 C.12.1.1.7).
_OF_ANY_LENGTH = frozenset({0x00080110})


# What happened to an attribute, in any of the places it stands in: bits of plain numbers, for a series has
# thousands of them and the flags of `enum` cost more than all else here.
Fact = int
HAD, KEPT, GONE, CHANGED = 1, 2, 4, 8


@dataclass(slots=True)
class Found:
    """What the comparison of one element, at every depth, came to; failures name attributes only."""

    mapped: Mapped
    failures: list[str] = field(default_factory=list)
    facts: dict[Key, Fact] = field(default_factory=dict)

    def note(self, key: Key | None, fact: Fact) -> None:
        """Add to what happened to an attribute."""
        if key is not None:
            self.facts[key] = self.facts.get(key, 0) | fact


class _Pair(NamedTuple):
    """One element on both sides; either may lack it."""

    tag: int
    key: Key | None
    ours: Seen | None
    theirs: Seen | None

    @property
    def name(self) -> str:
        return name_of(self.tag if self.key is None else self.key)


class Comparison:
    """Compares original elements with published ones, whatever published them; knows the options only."""

    def __init__(self, profile: Profile) -> None:
        """Bind the options, which decide what may be gone."""
        self._keeping = Keeping(profile)
        self._needs = needs()
        self._coarse = profile.coarse_times

    def element(self, tag: int, creators: Mapping[int, str], ours: Seen | None, theirs: Seen | None) -> Found:
        """Compare one element of the top level; either side may lack it."""
        found = Found(Mapped(self._coarse))
        self._element(_Pair(tag, key_of(tag, creators), ours, theirs), found)
        return found

    def _element(self, pair: _Pair, found: Found, *, may_go: bool = False) -> None:
        """`may_go`: an option took what this stands in."""
        tag, key, ours, theirs = pair
        if is_private_creator(tag) or tag in _OWN_CLAIMS:
            return
        if ours is None or not ours.says:
            if theirs is not None and theirs.says and key in self._needs:
                found.failures.append(f"{pair.name} has come from nowhere")
            return
        kept = not may_go and self._keeping.keeps(tag, key)
        if not is_private(tag) and is_sequence(tag, ours):
            self._sequence(tag, ours, theirs, found, may_go=not kept)
        else:
            self._leaf(pair, ours, found, kept=kept)

    def _leaf(self, pair: _Pair, ours: Seen, found: Found, *, kept: bool) -> None:
        need = None if pair.key is None else self._needs.get(pair.key)
        vr = _vr_of(pair, ours)
        how = BY_VR.get(vr) if need is None else need.how
        if pair.tag in _REBUILT:
            how = None
        theirs = None if _is_unspecified(pair, ours) else pair.theirs
        fact, wrong = _judged(how, vr, ours, theirs, found.mapped if kept else Mapped(self._coarse))
        if fact & GONE and need is not None and need.must_stay and is_sound(need.how, vr, ours):
            wrong = "is lost"
        if wrong and kept:
            found.failures.append(f"{pair.name} {wrong}")
        found.note(pair.key, fact)
        if is_private(pair.tag):
            found.note(PRIVATE, fact)

    def _sequence(self, tag: int, ours: Seen, theirs: Seen | None, found: Found, *, may_go: bool) -> None:
        after = [] if theirs is None else list(levels(tag, theirs))
        before = _items(tag, ours, damage_matters=bool(after))
        if after and len(after) != len(before) and tag not in _OF_ANY_LENGTH:
            found.failures.append(f"{name_of(tag)} has {len(after)} items of {len(before)}")
            return
        if tag in _OF_ANY_LENGTH:
            return
        for place, level in enumerate(before):
            published = after[place] if after else {}
            creators = creators_of(level)
            for one in level.keys() | published.keys():
                pair = _Pair(one, key_of(one, creators), level.get(one), published.get(one))
                self._element(pair, found, may_go=may_go and not after)


def _is_unspecified(pair: _Pair, ours: Seen) -> bool:
    """Whether a term that says nothing in particular stands for the original's."""
    term = _UNSPECIFIED.get(pair.tag)
    if term is None or pair.theirs is None:
        return False
    return pair.theirs.value.strip(b" \0") == term != ours.value.strip(b" \0")


def _items(tag: int, seen: Seen, *, damage_matters: bool) -> list[dict[int, Seen]]:
    """Return the items of an original sequence; what was removed whole may be damaged."""
    try:
        return list(levels(tag, seen))
    except WalkError:
        if damage_matters:
            raise
        return []


def _judged(how: How | None, vr: str, ours: Seen, theirs: Seen | None, mapped: Mapped) -> tuple[Fact, str]:
    """Return what happened to a value, and what is wrong with that, "" for nothing."""
    if theirs is None or not theirs.says:
        return HAD | GONE, ""
    said = None if how is None else verdict(how, vr, ours, theirs, mapped)
    published = theirs.value.strip(b" \0")
    differs = published != ours.value.strip(b" \0")
    stands_in = _STAND_INS.issuperset(published.split(b"\\")) or (vr in BULK and theirs.value in _ZEROS)
    if differs and stands_in and said not in {Verdict.SAME, Verdict.ALTERED}:
        return HAD | GONE, ""
    altered = said is Verdict.ALTERED or (how is None and differs)
    wrong = "is not what it was" if said is Verdict.DIFFERENT else ""
    return HAD | KEPT | (CHANGED if altered else 0), wrong


def _vr_of(pair: _Pair, ours: Seen) -> str:
    """Return the VR to compare by: what was published, else what the tables say, else what was written."""
    if pair.theirs is not None and pair.theirs.vr != "UN":
        return pair.theirs.vr
    if isinstance(pair.key, tuple):
        listed = safe_private().get(pair.key)
        return ours.vr if listed is None else listed.vr
    stated = standard_vr(pair.tag)
    return ours.vr if stated is None or " " in stated else stated
