"""What a search returns at each level (PS3.18 10.6.3.3, Tables 10.6.3-3 to 10.6.3-5), and by which names."""

from collections.abc import Iterable
from functools import lru_cache

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from catalog.attributes import ATTRIBUTES, UNIQUE_KEYS, supported
from catalog.query import Level

# What the catalog holds of the tables; what a door answers itself is written by `dgis.dicomweb.matches`.
_TABLES: dict[Level, str] = {
    Level.STUDY: """
        StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName TimezoneOffsetFromUTC
        PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyID
        NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances""",
    Level.SERIES: """
        Modality TimezoneOffsetFromUTC SeriesDescription SeriesInstanceUID SeriesNumber
        NumberOfSeriesRelatedInstances PerformedProcedureStepStartDate PerformedProcedureStepStartTime""",
    Level.IMAGE: """
        SOPClassUID SOPInstanceUID TimezoneOffsetFromUTC InstanceNumber Rows Columns BitsAllocated
        NumberOfFrames""",
}
ALL = "all"
_LONGEST_ID = 256


@lru_cache(maxsize=64)
def required(level: Level, stated: frozenset[Level]) -> tuple[str, ...]:
    """Return the keywords of every answer: those of the level, and of levels above that no path states."""
    levels = [each for each in _TABLES if each is level or (each.depth < level.depth and each not in stated)]
    named = [keyword for each in levels for keyword in _TABLES[each].split()]
    uids = [UNIQUE_KEYS[each] for each in _TABLES if each.depth <= level.depth]  # RetrieveURL is made of them
    return tuple(dict.fromkeys((*named, *uids)))


@lru_cache(maxsize=8)
def everything(level: Level) -> tuple[str, ...]:
    """Return the keywords that `includefield=all` stands for; counts of what lies above are none of them."""
    return tuple(
        keyword
        for keyword, attribute in ATTRIBUTES.items()
        if supported(keyword, level) is not None and not (attribute.computed and attribute.level is not level)
    )


def keyword_of(attribute_id: str) -> str | None:
    """Return the keyword that an attribute ID stands for (PS3.18 8.3.4.1); None where it is none.

    A path into a sequence is an attribute ID, and "" stands for it and for what has no keyword.
    """
    return _keyword_of(attribute_id) if len(attribute_id) <= _LONGEST_ID else None


@lru_cache(maxsize=4096)
def _keyword_of(attribute_id: str) -> str | None:
    parts = attribute_id.split(".")
    named = [_keyword(part) for part in parts]
    if None in named:
        return None
    if len(parts) > 1:
        return "" if all(name and _is_sequence(name) for name in named[:-1]) else None
    return named[0]


def _keyword(part: str) -> str | None:
    if len(part) == 8 and all(digit in "0123456789ABCDEFabcdef" for digit in part):  # noqa: PLR2004 (ggggeeee)
        return keyword_for_tag(int(part, 16))
    return part if part.isascii() and part.isalnum() and tag_for_keyword(part) is not None else None


def _is_sequence(keyword: str) -> bool:
    return dictionary_VR(keyword) == "SQ"


def returned(
    level: Level, stated: Iterable[Level], included: Iterable[str], matched: Iterable[str]
) -> tuple[str, ...]:
    """Return the keywords of the answers to one search, each once, unsupported ones left out."""
    fields = [name for each in included for name in (everything(level) if each == ALL else (each,))]
    wanted = dict.fromkeys((*required(level, frozenset(stated)), *matched, *fields))
    return tuple(name for name in wanted if supported(name, level) is not None)
