from functools import cache
from typing import NamedTuple

from deid.cleaning import Cleaning
from deid.profile import Option, Profile, Rule, rules_of
from deid.pseudonyms import Pseudonyms
from deid.subject import Subject, decoded
from deid.tables.loader import attribute_types, never_published
from deid.values import TEXT_VRS, VALUE_BYTES, WORD_BYTES, plain_text, valid_zone
from deid.vr import least_values

# Attributes whose stand-in is made from the value: equal ones stay equal, different ones different.
_PATIENT_NAME, _PATIENT_ID = 0x00100010, 0x00100020
_ACCESSION_NUMBER, _STUDY_ID = 0x00080050, 0x00200010
_PSEUDONYMOUS = frozenset({_PATIENT_NAME, _PATIENT_ID, _ACCESSION_NUMBER, _STUDY_ID})

_TIMEZONE = 0x00080201
# Terms that say nothing in particular: PS3.3 C.12.1.1.9 (one of two), C.11.1.1.2 (unspecified).
_TERMS = {0x04000565: b"COERCE", 0x00281054: b"US"}
_DATE_OPTIONS = frozenset({Option.FULL_DATES, Option.MODIFIED_DATES})
# What these options keep is free text by its nature: serial numbers, station and institution names.
_VERBATIM = frozenset({Option.DEVICE_IDENTITY, Option.INSTITUTION})
_DATED = frozenset({"DA", "DT", "TM"})
_NAMES = frozenset({"AE", "PN", "UR"})
_NUMBERS = frozenset({"DS", "IS"})

# PS3.15 E.1, D: a value of the VR that says nothing.
_DUMMIES = dict.fromkeys(("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), b"REMOVED") | {
    "AS": b"000Y",
    "CS": b"UNKNOWN",
    "DA": b"19000101",
    "DS": b"0",
    "DT": b"19000101000000",
    "IS": b"0",
    "TM": b"000000",
    "UR": b"urn:removed",
}
_REMOVE, _EMPTY, _KEEP, _DUMMY = "X", "Z", "K", "D"

# What the table does not name and nothing knows to be safe goes as far as the IOD lets it go.
UNLISTED = "X/Z/D"
_REFERENCES = "X/Z/U*"
# Types of PS3.3 7.4; what is conditional counts as if the condition held, for the attribute is there.
_FILLED, _OPTIONAL = frozenset({"1", "1C"}), "3"
# Where a plain X would leave an object without what it must have; a value for a condition is not made up.
_KEPT_IN_SPITE = frozenset({"1", "2", "2C"})


class Outcome(NamedTuple):
    """What became of a value: the bytes to publish (None: no element), and the action it came to."""

    value: bytes | None
    action: str


class Actions:
    """Carries out the action codes of PS3.15 Annex E on values; sequences are the walker's."""

    def __init__(self, profile: Profile, pseudonyms: Pseudonyms, subject: Subject) -> None:
        """Bind the profile to a subject."""
        self.cleaning = Cleaning(profile, pseudonyms, subject)
        self.rule = rules_of(profile)
        self._pseudonyms = pseudonyms
        self._subject = subject
        self._types = attribute_types()
        self._never = never_published()

    def value(self, tag: int, vr: str, raw: bytes, parent: int | None) -> Outcome:
        """Return what becomes of a little endian value; `parent` is the sequence it stands in."""
        if tag in self._never:
            return Outcome(None, _REMOVE)
        rule = self.rule(tag)
        if rule is None:
            kept = self.cleaning.safe(tag, vr, raw)
            return self._taken(tag, vr, UNLISTED, parent) if kept is None else Outcome(kept, _KEEP)
        if rule.code == _REMOVE:
            return self._taken(tag, vr, rule.code, parent)
        if not raw.strip(b" \0"):
            return Outcome(b"", _KEEP)
        if tag in _PSEUDONYMOUS:
            return Outcome(self._pseudonym(tag, raw), _DUMMY)
        if vr == "UI":
            return Outcome(self.cleaning.uids(tag, raw), rule.code)
        if rule.option is not None:
            kept = self._chosen(tag, vr, raw, rule)
            if kept is not None:
                return Outcome(kept, rule.code)
        return self._taken(tag, vr, rule.basic, parent)

    def letter(self, tag: int, code: str, parent: int | None) -> str:
        """Resolve a slashed code to the leftmost action that keeps the object conformant (PS3.15 E.1).

        A plain X on what the IOD must have is resolved as if it were slashed: emptied, else a dummy.
        References to other instances (X/Z/U*) always stay, with new UIDs: whether they may go depends on
        conditions that no header states, and they hold nothing but UIDs and codes.
        """
        if tag in self._never:
            return _REMOVE
        if code == _REFERENCES:
            return "U"
        kind = self._type(tag, parent)
        if code == _REMOVE:
            if kind not in _KEPT_IN_SPITE:
                return _REMOVE
            code = UNLISTED
        for choice in code.split("/"):
            if choice == _REMOVE and kind == _OPTIONAL:
                return choice
            if choice == _EMPTY and kind not in _FILLED:
                return choice
            if choice not in {_REMOVE, _EMPTY}:
                return choice
        return _DUMMY

    def _taken(self, tag: int, vr: str, code: str, parent: int | None) -> Outcome:
        letter = self.letter(tag, code, parent)
        if letter == _REMOVE:
            return Outcome(None, letter)
        if letter == _EMPTY:
            return Outcome(b"", letter)
        if tag in _TERMS:
            return Outcome(_TERMS[tag], letter)
        return Outcome(_dummy(tag, vr), letter)

    def _type(self, tag: int, parent: int | None) -> str:
        types = self._types
        if parent is not None:
            nested = types.get((tag, f">{parent:08X}"))
            if nested is not None:
                return nested
        found = types.get((tag, self._subject.sop_class))
        return types.get((tag, "*"), _OPTIONAL) if found is None else found

    def _chosen(self, tag: int, vr: str, raw: bytes, rule: Rule) -> bytes | None:
        """Return what the option lets stay of a value; None where the value is not what it should be."""
        if rule.option in _DATE_OPTIONS:
            if tag == _TIMEZONE:
                zone = plain_text(raw)
                return zone.encode("ascii") if zone is not None and valid_zone(zone) else None
            return self.cleaning.safe(tag, vr, raw) if vr in _DATED else None
        if rule.code != _KEEP:
            cleaned = rule.option is Option.CLEAN_DESCRIPTORS and vr in TEXT_VRS
            return self.cleaning.description(raw) if cleaned else None
        if rule.option in _VERBATIM and (vr in TEXT_VRS or vr in _NAMES):
            text = plain_text(raw)
            return None if text is None else text.encode("ascii")
        return self.cleaning.safe(tag, vr, raw)

    def _pseudonym(self, tag: int, raw: bytes) -> bytes:
        subject = self._subject
        self.cleaning.personal = True
        if tag == _ACCESSION_NUMBER:
            text = self._pseudonyms.text("accession", decoded(raw, subject.charset))
        elif tag == _STUDY_ID:
            study = decoded(raw, subject.charset)
            text = self._pseudonyms.text("study-id", subject.patient.identifier, study)
        else:
            text = subject.patient.identifier
        return text.encode("ascii")


@cache
def _dummy(tag: int, vr: str) -> bytes:
    """Return a value that says nothing, as often as the attribute must have one."""
    size = VALUE_BYTES.get(vr)
    if size is not None:
        return bytes(size * least_values(tag))
    text = _DUMMIES.get(vr)
    if text is None:
        return bytes(WORD_BYTES.get(vr, 2))
    # Of words one is enough: each further one may have terms of its own.
    return b"\\".join([text] * least_values(tag)) if vr in _NUMBERS else text
