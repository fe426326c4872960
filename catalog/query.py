"""The query tree that every front door builds: what is asked, before anything is looked up."""

from dataclasses import dataclass, field
from enum import Enum


class Level(Enum):
    """Query/Retrieve Level (0008,0052), DICOM PS3.4 C.6.1.1 and C.6.2.1."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"

    def __init__(self, _wire: str) -> None:
        #: 0 for a patient, 3 for an image.
        self.depth = len(type(self).__members__)


class Root(Enum):
    """Information model; in Study Root the patient's attributes belong to the study (PS3.4 C.6.2.1.1)."""

    PATIENT = "patient"
    STUDY = "study"


class Fault(Enum):
    """Why a query was refused; each front door maps it to its own status."""

    LEVEL = "level"
    """The level does not exist in this information model."""
    UNIQUE_KEY = "unique_key"
    """A unique key above the level is missing or not a single value (PS3.4 C.4.1.2.2.1)."""
    VALUE = "value"
    """A key's value cannot be read: a malformed range, date, number or UID."""
    SIZE = "size"
    """More values, or longer ones, than any sane query has."""


class InvalidQuery(ValueError):  # noqa: N818 - named in the joint interface
    """A query that cannot be answered; the text names keywords and rules, never a value."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Key:
    """One key attribute by DICOM keyword; no values (or only empty ones) is universal matching.

    Values are decoded text, split at backslashes by the door that read them.
    """

    keyword: str
    values: tuple[str, ...] = field(default=(), repr=False)

    @property
    def universal(self) -> bool:
        """Whether the key only asks for the attribute to be returned (PS3.4 C.2.2.2.3)."""
        return not any(value.strip(" \0") for value in self.values)


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for at one level.

    `relational`, `fuzzy` and `combined_datetime` are what extended negotiation agreed on (PS3.4
    C.5.1.1.1). `limit` bounds the number of matches; `after` is the `cursor` of the last match of
    the page before.
    """

    root: Root
    level: Level
    keys: tuple[Key, ...] = ()
    relational: bool = False
    fuzzy: bool = False
    combined_datetime: bool = False
    limit: int | None = None
    after: str | None = None

    def key(self, keyword: str) -> Key | None:
        """Return the key of that keyword, or None where the query does not name it."""
        return next((key for key in self.keys if key.keyword == keyword), None)
