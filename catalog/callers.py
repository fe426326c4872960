"""Who asks: asserted facts about a principal, and the rights that can be granted on them."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import Enum
from itertools import product
from math import prod


class Right(Enum):
    """What a caller may do; `PHI` turns a find or a retrieve into one of originals."""

    FIND = "find"
    RETRIEVE = "retrieve"
    PHI = "phi"
    STORE = "store"
    SHARE = "share"
    ADMINISTER = "administer"


ALL_RIGHTS = frozenset(Right)

Facts = tuple[tuple[str, str], ...]
"""(field, value) pairs in the order of `PATTERN_FIELDS`."""

LONGEST_VALUE = 256
"""Characters of an asserted value: it is kept with every image its bearer sends, and in the trail."""

MOST_PATTERNS = 4096
"""That a caller may satisfy: 127 roles beside one value of each other field."""

SHARED = "urn:dgis:share"
"""Who vouches for the bearer of a share token; no other issuer is called so."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

PATTERN_FIELDS = ("issuer", "user", "department", "institution", "role", "purpose")
"""The asserted fields that a grant can ask for."""


@dataclass(frozen=True, slots=True)
class Assertions:
    """What somebody vouched for about a principal; values are compared exactly, after trimming.

    `extra` holds further attributes, and further values of a named field (a second role, say) as
    (name, value) pairs.
    """

    issuer: str | None = None
    user: str | None = None
    department: str | None = None
    institution: str | None = None
    role: str | None = None
    purpose: str | None = None
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in PATTERN_FIELDS:
            value = getattr(self, name)
            object.__setattr__(self, name, (value.strip() or None) if value is not None else None)
        pairs = sorted({(name.strip(), value.strip()) for name, value in self.extra if value.strip()})
        object.__setattr__(self, "extra", tuple(pairs))

    def values(self, field: str) -> tuple[str, ...]:
        """Return every value asserted for `field`, the field's own first; () when there is none."""
        own = getattr(self, field) if field in PATTERN_FIELDS else None
        further = (value for name, value in self.extra if name == field and value != own)
        return (*(() if own is None else (own,)), *further)

    def canonical(self) -> str:
        """Return one JSON text for equal assertions, whatever order they were built in."""
        stated = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "extra"}
        known = {name: value for name, value in stated.items() if value is not None}
        return json.dumps({**known, "extra": self.extra} if self.extra else known, sort_keys=True)

    @property
    def alone(self) -> bool:
        """Whether only a narrow grant that names it opens anything to it: the bearer of a share token.

        What is open to everybody who is admitted is not open to whoever got hold of a link; what is denied
        to everybody is denied to them, too.
        """
        return self.issuer == SHARED

    def opening_patterns(self) -> Iterator[str]:
        """Yield the keys of the patterns by which a grant can allow something to these assertions."""
        if not self.alone:
            yield from self.satisfied_patterns()
        elif self.user is not None:
            yield pattern_key((("issuer", SHARED), ("user", self.user)))

    @property
    def pattern_count(self) -> int:
        """How many grant patterns these assertions satisfy."""
        return prod(1 + len(self.values(field)) for field in PATTERN_FIELDS)

    def satisfied_patterns(self) -> Iterator[str]:
        """Yield the key of every grant pattern that these assertions satisfy, the empty one included.

        A pattern is a conjunction of (field, value) pairs, so the satisfied ones are exactly the
        subsets of what is asserted: at most 64 with one value a field.
        """
        choices = [[None, *self.values(field)] for field in PATTERN_FIELDS]
        for picked in product(*choices):
            pairs = zip(PATTERN_FIELDS, picked, strict=True)
            yield pattern_key(tuple((field, value) for field, value in pairs if value is not None))


def is_assertable(value: str) -> bool:
    """Whether a text is one that may be asserted: of bounded length, without control characters."""
    return len(value) <= LONGEST_VALUE and not _CONTROL.search(value)


def pattern_key(facts: Facts) -> str:
    """Return the index key of a conjunction of asserted facts, 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated principal; `may` is a ceiling that no grant lifts."""

    name: str
    assertions: Assertions = Assertions()
    may: frozenset[Right] = frozenset()
