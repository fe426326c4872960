import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from pydicom.datadict import tag_for_keyword

EDITIONS = ("2024b", "2026c")

_TAG = re.compile(r"\(([0-9A-F]{4}),([0-9A-F]{4})\)")
_REPEATING = re.compile(r"\(([0-9A-F]{2})xx,([0-9A-Fx]{4})\)")
_UNSTATED = "-"
_CSA = "CSA"
_COMMENT = "#"
_EVERYWHERE, _NEVER = "*", "-"
_LONGEST_ALLOWED = 64  # characters: what LO holds; a bound on the work of the patterns, too


# What looks like a record number, a telephone number or a date: six digits, also in groups, and days. What
# could be a day or a version (27.08.90) counts as a day.
_IDENTIFYING = re.compile(
    r"(?<!0\.)[0-9](?:[ +/:-]{0,2}[0-9]){5}"
    r"|(?:19|20)[0-9]{2}[./-][0-9]{1,2}[./-][0-9]{1,2}"
    r"|[0-9]{1,2}(?:[/-][0-9]{1,2}[/-]|\.[0-9]{1,2}\.(?:19|20))[0-9]{2}"
    r"|(?<![0-9.])(?:0[1-9]|[12][0-9]|3[01])\.(?:0[1-9]|1[0-2])\.[0-9]{2}(?![0-9.])"
    r"|(?<![0-9.])[0-9]{2}\.(?:0[1-9]|1[0-2])\.(?:0[1-9]|[12][0-9]|3[01])(?![0-9.])",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one row of PS3.15 Table E.1-1 orders: the basic action and, by option name, what replaces it."""

    basic: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """PS3.15 Table E.1-1 of one edition: rows by tag, by repeating group, and for private elements."""

    edition: str
    rows: Mapping[int, Row]
    repeating: tuple[tuple[int, int, Row], ...]
    private: Row

    def row(self, tag: int) -> Row | None:
        """Return the row that covers a tag; None where the table does not name it."""
        if tag >> 16 & 1:
            return self.private
        found = self.rows.get(tag)
        if found is None:
            found = next((row for mask, want, row in self.repeating if tag & mask == want), None)
        return found


@dataclass(frozen=True, slots=True)
class AllowedText:
    """What free text of one attribute may say: whole values, and patterns that match a whole value."""

    values: frozenset[str] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = field(default=())

    def allows(self, text: str) -> bool:
        """Whether a value (trimmed) may stay; a pattern never lets numbers through that may be somebody's."""
        if len(text) > _LONGEST_ALLOWED:
            return False
        if text.upper() in self.values:
            return True
        return _IDENTIFYING.search(text) is None and any(one.fullmatch(text) for one in self.patterns)


def records(name: str) -> Iterator[list[str]]:
    """Yield the fields of each line of a data file beside this module; comments and empty lines left out."""
    for line in files("deid.tables").joinpath(name).read_text(encoding="ascii").splitlines():
        if line and not line.startswith(_COMMENT):
            yield line.split("\t")


@cache
def table(edition: str) -> Table:
    """Return PS3.15 Table E.1-1 of an edition.

    Raises:
        ValueError: there is no data file for that edition.
    """
    if edition not in EDITIONS:
        raise ValueError(f"no PS3.15 table of edition {edition!r}; there is {', '.join(EDITIONS)}")
    lines = records(f"ps315_{edition}.tsv")
    _tag, _keyword, _basic, *names = next(lines)
    rows: dict[int, Row] = {}
    repeating: list[tuple[int, int, Row]] = []
    private: Row | None = None
    for tag, _keyword, basic, *actions in lines:
        stated = {name: act for name, act in zip(names, actions, strict=True) if act != _UNSTATED}
        row = Row(basic, stated)
        if plain := _TAG.fullmatch(tag):
            rows[int(plain[1] + plain[2], 16)] = row
        elif masked := _REPEATING.fullmatch(tag):
            repeating.append((*_mask(masked[1] + "xx" + masked[2]), row))
        else:
            private = row
    if private is None:
        raise ValueError(f"the table of edition {edition} has no row for private attributes")
    return Table(edition, rows, tuple(repeating), private)


def _mask(text: str) -> tuple[int, int]:
    return int(re.sub("[^x]", "F", text).replace("x", "0"), 16), int(text.replace("x", "0"), 16)


@cache
def attribute_types() -> Mapping[tuple[int, str], str]:
    """Return the type of attributes (1, 1C, 2, 2C, 3) by (tag, where); what is absent is type 3.

    `-` instead of a type: its condition never holds in what is published. `*` is wherever nothing else is
    said; else `where` is a SOP class UID, or `>` and the hexadecimal tag of the sequence it stands in.
    """
    sop_classes = {iod: uids.split() for iod, uids in records("iods.tsv")}
    found: dict[tuple[int, str], str] = {}
    for keyword, kind, where in records("attribute_types.tsv"):
        tag = _tag_of(keyword)
        for place in where.split():
            if place == _EVERYWHERE:
                found[tag, place] = kind
            elif place.startswith(">"):
                found[tag, f">{_tag_of(place[1:]):08X}"] = kind
            else:
                found |= {(tag, sop_class): kind for sop_class in sop_classes[place]}
    return found


@cache
def never_published() -> frozenset[int]:
    """Return the attributes whose condition is gone with what de-identification removes."""
    return frozenset(tag for (tag, _where), kind in attribute_types().items() if kind == _NEVER)


@cache
def coded_terms() -> Mapping[int | None, frozenset[str]]:
    """Return the terms a code string may hold: by tag, and under None those any attribute may hold."""
    found: dict[int | None, set[str]] = {None: set()}
    for keyword, terms in records("coded_terms.tsv"):
        key = None if keyword == "*" else _tag_of(keyword)
        found.setdefault(key, set()).update(term.strip() for term in terms.split("|"))
    return {key: frozenset(terms) for key, terms in found.items()}


@cache
def allowed_text() -> Mapping[int, AllowedText]:
    """Return, by tag, what free text may stay where a site has no reason to hide it."""
    values: dict[int, set[str]] = {}
    patterns: dict[int, list[re.Pattern[str]]] = {}
    words = sorted((re.escape(word) for (word,) in records("product_words.tsv")), key=len, reverse=True)
    products = "|".join(words)
    for keywords, kind, content in records("allowed_text.tsv"):
        for keyword in keywords.split():
            tag = _tag_of(keyword)
            if kind == "value":
                values.setdefault(tag, set()).update(term.strip().upper() for term in content.split("|"))
            else:
                written = content.replace("@PRODUCT", f"(?:{products})")
                patterns.setdefault(tag, []).append(re.compile(written, re.IGNORECASE | re.ASCII))
    tags = values.keys() | patterns.keys()
    return {tag: AllowedText(frozenset(values.get(tag, ())), tuple(patterns.get(tag, ()))) for tag in tags}


@cache
def descriptor_words() -> frozenset[str]:
    """Return the words, in capitals, that descriptions may keep."""
    return frozenset(word for (word,) in records("descriptor_words.tsv"))


@cache
def bulk_tags() -> frozenset[int]:
    """Return the attributes of byte and word VRs (OB, OW, OF, ...) that hold measurements or tables."""
    return frozenset(_tag_of(keyword) for keyword, _note in records("bulk_attributes.tsv"))


@dataclass(frozen=True, slots=True)
class PrivateRow:
    """A private attribute known to be safe: its VR, and the form of its values where one decides."""

    vr: str
    form: re.Pattern[str] | None = None
    is_csa: bool = False


@cache
def safe_private() -> Mapping[tuple[str, int, int], PrivateRow]:
    """Return the private attributes known to be safe, by (creator, group, low byte of the element)."""
    return {
        (creator, int(group, 16), int(element, 16)): _private_row(vr, form)
        for creator, group, element, vr, form, _note in records("safe_private.tsv")
    }


def _private_row(vr: str, form: str) -> PrivateRow:
    if form == _CSA:
        return PrivateRow(vr, is_csa=True)
    return PrivateRow(vr, None if form == _UNSTATED else re.compile(form, re.ASCII))


def _tag_of(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no keyword of PS3.6")
    return tag
