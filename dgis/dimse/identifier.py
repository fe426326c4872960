"""Identifiers of C-FIND, C-MOVE and C-GET requests, read into a query (PS3.4 C.4.1.1.3, C.4.2.1.4)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from struct import Struct

from pydicom.datadict import keyword_for_tag

from catalog.attributes import ATTRIBUTES, DOOR_KEYS, LEVELS, UNIQUE_KEYS, supported
from catalog.charset import decode, encodings_of
from catalog.query import Key, Level, Query, Root
from deid.deflate import InflateError, inflate_bounded, is_deflated
from deid.elements import Element, WalkError, detect_encoding, elements, encoding_of
from dgis.dimse.status import Refusal, Status

QUERY_RETRIEVE_LEVEL = 0x00080052
_SPECIFIC_CHARACTER_SET = 0x00080005
_PROSE = frozenset({"LT", "ST", "UT"})  # a backslash in them is a character, PS3.5 6.2
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i"}
_WILD = re.compile(r"[*?]")
_MOST_ELEMENTS = 4096  # the dictionary of the standard has about so many
_MOST_VALUES = 100_000  # of all keys together: a long list of UIDs
_BYTES_A_VALUE = 256  # of memory, until the query is answered: a text and its places in lists
_TOO_MUCH_AT_ONCE = Refusal(Status.OUT_OF_RESOURCES, "too many long queries at once; ask again later")
_TOO_MANY = Refusal(Status.OUT_OF_RESOURCES, "more keys or values than any query has")
_UNREADABLE = Refusal(Status.UNABLE_TO_PROCESS, "the identifier cannot be read")
_NO_LEVEL = Refusal(
    Status.DATA_SET_MISMATCH, "Query/Retrieve Level missing or not of this model", (QUERY_RETRIEVE_LEVEL,)
)


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a request names: its level, its keys in order, and whether some of them nobody here knows."""

    level: Level
    keys: tuple[Key, ...] = field(repr=False)
    unsupported: bool


@dataclass(frozen=True, slots=True)
class Options:
    """What extended negotiation agreed on (PS3.4 C.5.1.1, C.5.2.1)."""

    relational: bool = False
    combined_datetime: bool = False
    fuzzy: bool = False


def read_identifier(
    data: bytes,
    transfer_syntax: str,
    root: Root,
    most_bytes: int,
    may_keep: Callable[[int], bool] = lambda _size: True,
) -> Identifier | Refusal:
    """Read an identifier in the transfer syntax of its context.

    A key is supported when the catalog can answer it at the level; private elements, sequences and keys of
    lower levels are not. `may_keep` is asked before its values take that many bytes of memory.
    """
    try:
        plain = inflate_bounded(data, most_bytes) if is_deflated(transfer_syntax) else data
        encoding = detect_encoding(plain, encoding_of(transfer_syntax))
        walked = list(islice(elements(plain, encoding), _MOST_ELEMENTS + 1))
    except (WalkError, InflateError):
        return _UNREADABLE
    values = plain.count(b"\\")
    if len(walked) > _MOST_ELEMENTS or values > _MOST_VALUES:
        return _TOO_MANY
    if not may_keep(values * _BYTES_A_VALUE):
        return _TOO_MUCH_AT_ONCE
    found = {element.tag: element for element in walked}
    encodings = encodings_of(_raw(plain, found.get(_SPECIFIC_CHARACTER_SET)))
    named = _raw(plain, found.get(QUERY_RETRIEVE_LEVEL)).strip(b"\0 ").decode("ascii", "replace")
    level = next((level for level in LEVELS[root] if level.value == named), None)
    if level is None:
        return _NO_LEVEL
    keys: list[Key] = []
    unsupported = False
    for element in found.values():
        keyword = keyword_for_tag(element.tag)
        if element.tag & 0xFFFF == 0 or keyword in DOOR_KEYS:  # group lengths; what the door answers itself
            continue
        attribute = supported(keyword, level)
        if attribute is None:
            unsupported = True
            continue
        text = _text(_raw(plain, element), attribute.vr, encodings, encoding.order)
        keys.append(Key(keyword, _split(text, attribute.vr)))
    return Identifier(level, tuple(keys), unsupported)


def to_query(identifier: Identifier, root: Root, options: Options) -> Query:
    """Make the query of a C-FIND."""
    return Query(
        root,
        identifier.level,
        identifier.keys,
        relational=options.relational,
        fuzzy=options.fuzzy,
        combined_datetime=options.combined_datetime,
    )


def to_retrieval(identifier: Identifier, root: Root, options: Options) -> Query | Refusal:
    """Make the query of a C-MOVE or C-GET: unique keys only, that of the level always (PS3.4 C.4.2.1.4).

    Keys of another kind are passed over; they never narrow what is sent.
    """
    stated = {key.keyword: key for key in identifier.keys if not key.universal}
    keys: list[Key] = []
    for level in (level for level in LEVELS[root] if level.depth <= identifier.level.depth):
        keyword, lowest = UNIQUE_KEYS[level], level is identifier.level
        key = stated.get(keyword)
        if key is None and (lowest or not options.relational):
            return _mismatch(keyword, "is missing")
        if key is None:
            continue
        if any(_WILD.search(value) for value in key.values):
            return _mismatch(keyword, "cannot hold wildcards here")
        if len(key.values) > 1 and (level is Level.PATIENT or not lowest):
            return _mismatch(keyword, "must be a single value here")
        keys.append(key)
    return Query(root, identifier.level, tuple(keys), relational=options.relational)


def _mismatch(keyword: str, words: str) -> Refusal:
    return Refusal(Status.DATA_SET_MISMATCH, f"{keyword} {words}", (ATTRIBUTES[keyword].tag,))


def _raw(data: bytes, element: Element | None) -> bytes:
    return data[element.value : element.value_end] if element is not None else b""


def _text(raw: bytes, vr: str, encodings: tuple[str, ...], order: str) -> str:
    number = _NUMBERS.get(vr)
    if number is None:
        return decode(raw, encodings)
    form = Struct(order + number)
    return "\\".join(str(value) for (value,) in form.iter_unpack(raw[: len(raw) - len(raw) % form.size]))


def _split(text: str, vr: str) -> tuple[str, ...]:
    values = [text] if vr in _PROSE else text.split("\\")
    stripped = tuple(value.strip(" \0") for value in values)
    return stripped if any(stripped) else ()
