"""A search as its URL states it (PS3.18 8.3.4, 10.6.1), made into the query that C-FIND makes too."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_VR

from catalog.attributes import DOOR_KEYS, UNIQUE_KEYS, supported
from catalog.query import Key, Level, Query, Root
from dgis.dicomweb.named import uid
from dgis.dicomweb.parameters import Parameters
from dgis.dicomweb.returned import ALL, keyword_of, returned
from dgis.web.problems import Problem

MOST_RESULTS = 10_000
"""Of one answer; whoever asks for more, or says nothing, is told that there is more (PS3.18 8.3.4.4)."""

_DEEPEST = 2**31
_NO_ATTRIBUTES = frozenset({"includefield", "fuzzymatching", "limit", "offset", "accept", "charset"})
_PROSE = frozenset({"LT", "ST", "UT"})  # a backslash in them is a character, PS3.5 6.2
_PATH_LEVELS = {"study": Level.STUDY, "series": Level.SERIES}


@dataclass(frozen=True, slots=True)
class Search:
    """One search: `query` has no limit; `unmatched` are keys by name that nobody here matches by."""

    query: Query
    keywords: tuple[str, ...]
    limit: int
    offset: int
    unmatched: tuple[str, ...] = field(default=(), repr=False)


def search_of(level: Level, path: Mapping[str, str], parameters: Parameters) -> Search:
    """Read a search.

    Raises:
        Problem: 400 where a parameter is none, or says what it cannot.
    """
    stated = {_PATH_LEVELS[name]: uid(value) for name, value in path.items()}
    keys = {UNIQUE_KEYS[each]: Key(UNIQUE_KEYS[each], (value,)) for each, value in stated.items()}
    unmatched: list[str] = []
    seen: set[str] = set()
    for name, value in parameters:
        if name in _NO_ATTRIBUTES:
            continue
        keyword = keyword_of(name)
        if keyword is None:
            raise Problem(400, "query", "a parameter is no attribute and none that a search has")
        if (keyword or name) in seen:
            raise Problem(400, "query", "an attribute is asked for more than once")
        seen.add(keyword or name)
        if keyword in keys:
            raise Problem(400, "query", f"{keyword} stands in the path")
        if keyword in DOOR_KEYS:
            continue
        if not keyword or supported(keyword, level) is None:
            unmatched.append(keyword or "an attribute within a sequence, or one without a keyword")
            continue
        keys[keyword] = Key(keyword, _values(keyword, value))
    keywords = returned(level, stated, _included(parameters), keys)
    for keyword in keywords:
        keys.setdefault(keyword, Key(keyword))
    limit = parameters.whole("limit", _DEEPEST)
    query = Query(
        Root.STUDY,
        level,
        tuple(keys.values()),
        relational=len(stated) < level.depth - Level.STUDY.depth,
        fuzzy=parameters.flag("fuzzymatching"),
    )
    return Search(
        query,
        keywords,
        min(MOST_RESULTS if limit is None else limit, MOST_RESULTS),
        parameters.whole("offset", _DEEPEST) or 0,
        tuple(dict.fromkeys(unmatched)),
    )


def _included(parameters: Parameters) -> set[str]:
    """Return the keywords of `includefield`, once each; what is no attribute is passed over."""
    named = {part.strip() for value in parameters.several("includefield") for part in value.split(",")}
    return {ALL if name.lower() == ALL else keyword_of(name) or "" for name in named}


def _values(keyword: str, text: str) -> tuple[str, ...]:
    vr = dictionary_VR(keyword)
    if vr == "UI":  # PS3.18 8.3.4.1.1: UIDs are listed with commas, too
        text = text.replace(",", "\\")
    values = [text] if vr in _PROSE else text.split("\\")
    stripped = tuple(value.strip(" \0") for value in values)
    return stripped if any(stripped) else ()
