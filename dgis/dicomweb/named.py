"""What a DICOMweb path names (PS3.18 10.1.1): a study, a series of it, an instance of that."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from catalog.attributes import UNIQUE_KEYS
from catalog.query import Key, Level, Query, Root
from dgis.web.problems import Problem

# Looser than PS3.5 9.1 (no rule for components): identifiers that senders made up are answered as they are.
_UID = re.compile(r"[0-9.]{1,64}")
_LEVELS = (Level.STUDY, Level.SERIES, Level.IMAGE)
PATH_NAMES = ("study", "series", "instance")


@dataclass(frozen=True, slots=True)
class Named:
    """One resource below `/studies`, by its UIDs: those of originals, or pseudonyms."""

    study: str = field(repr=False)
    series: str | None = field(default=None, repr=False)
    instance: str | None = field(default=None, repr=False)

    @classmethod
    def of_path(cls, parameters: Mapping[str, str]) -> Self:
        """Read the parameters of a path.

        Raises:
            Problem: 400 where one is no UID.
        """
        return cls(*(uid(parameters[name]) for name in PATH_NAMES if name in parameters))

    @property
    def level(self) -> Level:
        """What it names."""
        return _LEVELS[len(self.uids) - 1]

    @property
    def uids(self) -> tuple[str, ...]:
        """Its UIDs, from the study down."""
        return tuple(each for each in (self.study, self.series, self.instance) if each is not None)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The unique keys it states."""
        return tuple(
            Key(UNIQUE_KEYS[level], (each,)) for level, each in zip(_LEVELS, self.uids, strict=False)
        )

    @property
    def query(self) -> Query:
        """What the catalog is asked to retrieve it."""
        return Query(Root.STUDY, self.level, self.keys)


def uid(text: str) -> str:
    """Return a UID that stands in a path.

    Raises:
        Problem: 400 where it is none.
    """
    if not _UID.fullmatch(text):
        raise Problem(400, "no_uid", "a UID has digits and dots, 64 at most (PS3.5 9.1)")
    return text
