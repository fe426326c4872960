import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from deid.elements import Buffer
from deid.splice.program import Program

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class SealReason(StrEnum):
    """Why a companion is not opened."""

    NOT_A_COMPANION = "these bytes are no sealed companion"
    UNKNOWN_VERSION = "the companion has a format version this program does not read"
    OTHER_COMPANION = "the companion is not the one asked for"
    DAMAGED = "the companion is damaged, or the key is not its key"
    NO_INSTANCE = "the companion holds no such instance"


class SealRefused(Exception):  # noqa: N818 - a refusal, in the words of this project
    """A companion is not opened; says nothing of what it holds."""

    def __init__(self, reason: SealReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Source(Protocol):
    """Where a companion lies; the size in bytes, and ranges of it."""

    @property
    def size(self) -> int:
        """The length of the object in bytes."""

    def read(self, start: int, length: int) -> Buffer:
        """Return exactly `length` bytes from `start`; what it raises passes through the reader."""


@dataclass(frozen=True, slots=True)
class SealNames:
    """What a companion calls itself in clear, bound into every segment: none of it comes from an original.

    `site` names the set of key stores, `patient_key` the key in them (a keyed pseudonym), `part` the series
    part whose originals are sealed. Each: letters, digits, `.`, `_`, `-`; at most 128.
    """

    site: str
    patient_key: str
    part: str

    def __post_init__(self) -> None:
        if not all(_NAME.fullmatch(name) for name in (self.site, self.patient_key, self.part)):
            raise ValueError("a name in a companion is 1 to 128 letters, digits, dots, underscores, hyphens")


@dataclass(frozen=True, slots=True)
class Sealable:
    """One original on its way into a companion.

    `original` is the data set as it arrived and `sha256` its digest; `published` returns a payload as the
    record holds it, and is asked only by programs with masked bits.
    """

    original: Buffer = field(repr=False)
    transfer_syntax: str
    sha256: bytes = field(repr=False)
    program: Program = field(repr=False)
    published: Callable[[int], Buffer] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedInstance:
    """One original as an opened companion describes it; `literals` may be iterated again and again."""

    transfer_syntax: str
    length: int
    sha256: bytes = field(repr=False)
    program: Program = field(repr=False)
    literals: Iterable[Buffer] = field(repr=False)

    @property
    def whole(self) -> bool:
        """Whether it is restored from the companion alone, without the record."""
        return self.program.whole
