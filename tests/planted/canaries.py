"""What is planted: values that name somebody, in the shapes identity has, and where each was put."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from tests.planted.charsets import CHARSETS

# A moved date may never be another planted one. Every planted date is a multiple of this many days after the
# first, and dates are moved by less.
_DAYS_APART = 3701
_FIRST_DAY = date(1751, 3, 2)
_DATES = 60

_CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"


@dataclass(frozen=True)
class Canary:
    """A value that must not come out; `raw` is how it was written where that is no ASCII.

    `kind` is word, number, date or uid: digits count only where no other digits stand around them.
    """

    text: str = field(repr=False)
    kind: str
    file: str
    place: str
    raw: bytes = field(default=b"", repr=False)


class Patient(NamedTuple):
    """Who the planted files are about; his values are canaries of every file."""

    name: str
    identifier: str
    birth_date: str
    days: tuple[str, ...]


class Planter:
    """Hands out the canaries of one file and remembers where they went."""

    def __init__(self, seed: object, file: str) -> None:
        self.random = random.Random(str(seed))  # a text: the same on every machine
        self.file = file
        self.canaries: list[Canary] = []

    def word(self, place: str, most: int = 64, *, digits: bool = True) -> str:
        """A word in one of the shapes of identity: capitals, a name, letters with digits, an address."""
        if digits and self.random.random() < 0.2:
            return self.number(place)
        shapes = [self._capitals, self._mixed, self._numbered, self._address]
        return self._hand(self.random.choice(shapes if most > 16 else shapes[:3])()[:most], "word", place)

    def plain(self, place: str) -> str:
        """Ten capitals: fits every VR of text."""
        return self._hand(self._capitals(), "word", place)

    def number(self, place: str, digits: int = 8) -> str:
        """A record number: nothing but digits."""
        first = self.random.choice("3456789")
        text = first + "".join(self.random.choices("0123456789", k=digits - 1))
        return self._hand(text, "number", place)

    def name(self, place: str) -> str:
        """A person name of several components (PS3.5 6.2.1): each of them is a canary, too."""
        family, given = self._hand(self._mixed(), "word", place), self._hand(self._mixed(), "word", place)
        return f"{family}^{given}^^Dr.^"

    def name_groups(self, place: str) -> bytes:
        """A name with ideographic and phonetic component groups, in UTF-8."""
        groups = [self.charset_name("ISO_IR 192", place) for _ in range(2)]
        return b"=".join([self.name(place).encode(), *groups])

    def charset_name(self, charset: str, place: str) -> bytes:
        """A word in a character set, its escape sequences among the bytes."""
        codec, letters, escape = CHARSETS[charset]
        text = "".join(self.random.choices(letters, k=9))
        raw = escape + text.encode(codec)
        self.canaries.append(Canary(text, "word", self.file, place, raw))
        return raw

    def date(self, place: str) -> str:
        """A date of the calendar."""
        return self._hand(self.day(), "date", place)

    def day(self) -> str:
        """A date that is planted by the caller."""
        return f"{_FIRST_DAY + timedelta(days=_DAYS_APART * self.random.randrange(_DATES)):%Y%m%d}"

    def uid(self, place: str, root: str = "1.2.276.0.99") -> str:
        """A UID whose components are numbers of somebody."""
        parts = [str(self.random.randrange(10**7, 10**9)) for _ in range(3)]
        return self._hand(f"{root}." + ".".join(parts), "uid", place)

    def note(self, text: str, kind: str, place: str, raw: bytes = b"") -> str:
        """Remember a value that the caller made."""
        self.canaries.append(Canary(text, kind, self.file, place, raw))
        return text

    def value(self, vr: str, place: str) -> bytes:
        """A canary that a VR could hold by its looks, or that stands in it as if it were text."""
        makers: dict[str, Callable[[], str]] = {
            "AE": lambda: self.plain(place),
            "AS": lambda: "097Y",
            "CS": lambda: self._hand(
                self.random.choice([self._capitals, self._numbered])()[:16], "word", place
            ),
            "DA": lambda: self.date(place),
            "DT": lambda: f"{self.date(place)}101112.345",
            "PN": lambda: self.name(place),
            "TM": lambda: "101112.345",
            "UI": lambda: self.uid(place),
            "SH": lambda: self.word(place, 16),
            # Digits in numbers are numbers: nobody can tell whose.
            **dict.fromkeys(("IS", "DS"), lambda: self.word(place, 16, digits=False)),
            **dict.fromkeys(("LO", "LT", "ST", "UT", "UC", "UR"), lambda: self.word(place)),
        }
        numbers = lambda: self.plain(place) + self.plain(place) + "WXYZ"  # noqa: E731 - whole numbers of any size
        return makers.get(vr, numbers)().encode()

    def _hand(self, text: str, kind: str, place: str) -> str:
        return self.note(text, kind, place)

    def _capitals(self) -> str:
        return "".join(self.random.choices(_CONSONANTS, k=10))

    def _mixed(self) -> str:
        return self.random.choice(_CONSONANTS) + "".join(self.random.choices(_CONSONANTS.lower(), k=8))

    def _numbered(self) -> str:
        return "".join(self.random.choices(_CONSONANTS, k=5)) + f"-{self.random.randrange(10**7, 10**8)}"

    def _address(self) -> str:
        return f"{self._mixed()} {self.random.randrange(10, 99)}, {self._mixed()}@{self._mixed()}.example"
