import re
from collections.abc import Callable

from deid.icc import plain_profile
from deid.kinds import is_kind, is_uid
from deid.profile import Option, Profile
from deid.pseudonyms import Pseudonyms, is_registered
from deid.subject import Subject
from deid.tables.loader import allowed_text, bulk_tags, coded_terms, descriptor_words
from deid.values import (
    TEXT_VRS,
    UNBROKEN_VRS,
    VALUE_BYTES,
    are_numbers,
    capped_age,
    count_fits,
    plain_text,
    shifted_date,
    shifted_date_time,
    valid_time,
)
from deid.words import hides_words

# The places of these values have meanings of their own, so an unknown word leaves its place filled.
_PLACED = frozenset({0x00080008, 0x00089007})  # ImageType, FrameType

_NO_TERM = "?"
_ICC_PROFILE = 0x00282000
# Palettes and look-up tables have at most 65,536 entries of 16 bits (PS3.3 C.7.6.3.1.5, C.11.1.1): what is
# longer has swallowed something else.
_TABLES = frozenset({0x00281201, 0x00281202, 0x00281203, 0x00281204, 0x00283006})
_LONGEST_TABLE_BYTES = 1 << 17
_WORD = re.compile(r"[A-Za-z0-9]+")


class Cleaning:
    """Lets through what is known to be harmless of a value, VR by VR; None where nothing is."""

    def __init__(self, profile: Profile, pseudonyms: Pseudonyms, subject: Subject) -> None:
        """Bind the rules to a profile and to the patient whose dates and UIDs are moved."""
        self._pseudonyms = pseudonyms
        self._sop_class = subject.sop_class
        self._texts = allowed_text()
        self._terms = coded_terms()
        self._bulk = bulk_tags()
        self._words = descriptor_words()
        self._ages = profile.has(Option.PATIENT_CHARACTERISTICS)
        self._uids_stay = profile.has(Option.RETAIN_UIDS)
        self._coarse = profile.coarse_times
        # Whether what was cleaned since this was set to False depends on the patient, not on values alone.
        self.personal = False
        # None: no option keeps dates at all.
        self._days: int | None = None
        if profile.has(Option.FULL_DATES):
            self._days = 0
        elif profile.has(Option.MODIFIED_DATES):
            self._days = subject.patient.shift_days
        self._by_vr: dict[str, Callable[[int, bytes], bytes | None]] = {
            "AS": self._age,
            "CS": self._coded,
            "DA": self._date,
            "DS": self._decimals,
            "DT": self._date_time,
            "IS": self._integers,
            "TM": self._time,
            "UI": self.uids,
        }

    def safe(self, tag: int, vr: str, raw: bytes) -> bytes | None:
        """Return what may stay of a little endian value.

        Text stays where the allow-list of its attribute has it, code strings where they are terms, numbers
        where they are numbers of the right count, bulk data where the attribute is known to hold
        measurements.
        """
        cleaner = self._by_vr.get(vr)
        if cleaner is not None:
            return cleaner(tag, raw)
        if vr in TEXT_VRS:
            return self.text(tag, vr, raw)
        if tag in _TABLES and len(raw) > _LONGEST_TABLE_BYTES:
            return None
        size = VALUE_BYTES.get(vr)
        if size is not None:
            whole = len(raw) % size == 0 and count_fits(tag, len(raw) // size)
            return raw if whole and not hides_words(vr, raw) else None
        if tag == _ICC_PROFILE:
            return plain_profile(raw)
        return raw if tag in self._bulk and not hides_words(vr, raw) else None

    def uids(self, tag: int, raw: bytes) -> bytes:
        """Return UIDs with their pseudonyms; registered ones stay, and what names a kind stays."""
        mapped = []
        for one in raw.split(b"\\"):
            text = one.strip(b" \0").decode("latin_1")
            stays = (
                not text
                or is_registered(text)
                or is_kind(tag, text, self._sop_class)
                or (self._uids_stay and is_uid(text))
            )
            mapped.append(text if stays else self._pseudonyms.uid(text))
        return "\\".join(mapped).encode("ascii")

    def text(self, tag: int, vr: str, raw: bytes) -> bytes | None:
        """Return text whose every value the allow-list of its attribute has."""
        whole = plain_text(raw)
        if not whole:
            return None if whole is None else b""
        allowed = self._texts.get(tag)
        if allowed is None:
            return None
        values = [whole] if vr in UNBROKEN_VRS else [one.strip() for one in whole.split("\\")]
        kept = all(not one or allowed.allows(one) for one in values)
        return "\\".join(values).encode("ascii") if kept else None

    def description(self, raw: bytes) -> bytes | None:
        """Return the words of a description that say what was examined and how; None where there are none."""
        text = plain_text(raw)
        known = [word for word in _WORD.findall(text or "") if word.upper() in self._words]
        return " ".join(known).encode("ascii") or None

    def _coded(self, tag: int, raw: bytes) -> bytes | None:
        # Behind a NUL nothing counts: readers end a string there.
        found = [plain_text(one.partition(b"\0")[0]) for one in raw.split(b"\\")]
        if not any(found):
            return None if None in found else b""
        terms = [_NO_TERM if one is None else one for one in found]
        own, general = self._terms.get(tag, frozenset()), self._terms[None]
        known = [not one or one in own or one in general for one in terms]
        if tag in _PLACED:
            terms = [one if ok else "OTHER" for one, ok in zip(terms, known, strict=True)]
        elif not all(known):
            terms = [one for one, ok in zip(terms, known, strict=True) if ok and one]
        return "\\".join(terms).encode("ascii") or None

    @staticmethod
    def _decimals(tag: int, raw: bytes) -> bytes | None:
        return raw if are_numbers("DS", raw) and count_fits(tag, raw.count(b"\\") + 1) else None

    @staticmethod
    def _integers(tag: int, raw: bytes) -> bytes | None:
        return raw if are_numbers("IS", raw) and count_fits(tag, raw.count(b"\\") + 1) else None

    def _date(self, _tag: int, raw: bytes) -> bytes | None:
        days = self._days
        self.personal = True
        return None if days is None else _each(raw, lambda one: shifted_date(one, days))

    def _date_time(self, _tag: int, raw: bytes) -> bytes | None:
        days, coarse = self._days, self._coarse
        self.personal = True
        return None if days is None else _each(raw, lambda one: shifted_date_time(one, days, coarse=coarse))

    def _time(self, _tag: int, raw: bytes) -> bytes | None:
        coarse = self._coarse
        return None if self._days is None else _each(raw, lambda one: valid_time(one, coarse=coarse))

    def _age(self, _tag: int, raw: bytes) -> bytes | None:
        return _each(raw, capped_age) if self._ages else None


def _each(raw: bytes, one: Callable[[str], str | None]) -> bytes | None:
    """Clean the values of a text one by one; None where a single one of them cannot be."""
    whole = plain_text(raw)
    if whole is None:
        return None
    done: list[str] = []
    for part in whole.split("\\"):
        cleaned = one(part.strip()) if part.strip() else ""
        if cleaned is None:
            return None
        done.append(cleaned)
    return "\\".join(done).encode("ascii")
