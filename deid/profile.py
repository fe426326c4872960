from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Self

from deid.tables.loader import EDITIONS, Row, table

NEWEST_EDITION = EDITIONS[-1]


class Option(Enum):
    """The options of the basic profile (PS3.15 E.3) a facility can choose, with their CID 7050 codes."""

    FULL_DATES = ("full-dates", "113106", "Retain Longitudinal Temporal Information Full Dates Option")
    MODIFIED_DATES = (
        "modified-dates",
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    )
    DEVICE_IDENTITY = ("device-identity", "113109", "Retain Device Identity Option")
    INSTITUTION = ("institution", "113112", "Retain Institution Identity Option")
    PATIENT_CHARACTERISTICS = (
        "patient-characteristics",
        "113108",
        "Retain Patient Characteristics Option",
    )
    SAFE_PRIVATE = ("safe-private", "113111", "Retain Safe Private Option")
    RETAIN_UIDS = ("retain-uids", "113110", "Retain UIDs Option")
    CLEAN_DESCRIPTORS = ("clean-descriptors", "113105", "Clean Descriptors Option")
    CLEAN_STRUCTURED_CONTENT = ("clean-structured-content", "113104", "Clean Structured Content Option")

    def __init__(self, column: str, code: str, meaning: str) -> None:
        self.column = column
        self.code = code
        self.meaning = meaning


_EXCLUDE_EACH_OTHER = ((Option.FULL_DATES, Option.MODIFIED_DATES),)
_KEEP_TIMES = (Option.MODIFIED_DATES, Option.FULL_DATES)
_BY_NAME = {option.column: option for option in Option}
# No option of the standard, so there is no code that would claim it.
COARSE_TIMES = "coarse-times"


class ProfileError(ValueError):
    """A profile that cannot be: an unknown name, or options that exclude each other."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What the profile orders for one attribute, in action codes of PS3.15 E.1.

    `code` is what the chosen options make of it, `option` the one that decided, `basic` the code that counts
    where a value does not pass what the option allows.
    """

    code: str
    basic: str
    option: Option | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """Which profile, options and edition of the table a facility de-identifies by.

    With `coarse_times`, times that an option keeps are cut down to the full hour.

    Raises:
        ProfileError: the edition is unknown, or options contradict each other.
    """

    options: frozenset[Option] = field(default=frozenset({Option.MODIFIED_DATES}))
    edition: str = NEWEST_EDITION
    coarse_times: bool = False

    def __post_init__(self) -> None:
        if self.edition not in EDITIONS:
            raise ProfileError(f"no PS3.15 table of edition {self.edition!r}; there is {', '.join(EDITIONS)}")
        for pair in _EXCLUDE_EACH_OTHER:
            if self.options.issuperset(pair):
                raise ProfileError(" and ".join(option.column for option in pair) + " exclude each other")
        if self.coarse_times and self.options.isdisjoint(_KEEP_TIMES):
            needed = " or ".join(option.column for option in _KEEP_TIMES)
            raise ProfileError(f"{COARSE_TIMES} needs {needed}: without them no time is kept at all")

    @classmethod
    def named(cls, profile: str, options: Iterable[str], edition: str = NEWEST_EDITION) -> Self:
        """Return the profile a configuration names (`basic`, `["modified-dates", ...]`).

        Raises:
            ProfileError: a name is unknown, or options contradict each other.
        """
        if profile != "basic":
            raise ProfileError(f"profile {profile!r} is unknown; there is basic")
        chosen = set(options)
        known = [*_BY_NAME, COARSE_TIMES]
        if unknown := sorted(chosen.difference(known)):
            raise ProfileError(f"option {unknown[0]!r} is unknown; there are {', '.join(known)}")
        standard = frozenset(option for name, option in _BY_NAME.items() if name in chosen)
        return cls(standard, edition, coarse_times=COARSE_TIMES in chosen)

    def rule(self, tag: int) -> Rule | None:
        """Return what to do with an attribute of the table; None where the table does not name it."""
        row = table(self.edition).row(tag)
        return None if row is None else _chosen(row, self.options)

    def has(self, option: Option) -> bool:
        """Whether the facility chose the option."""
        return option in self.options


@cache
def rules_of(profile: Profile) -> Callable[[int], Rule | None]:
    """Return `profile.rule`, remembering its answers: there are as many as the dictionary has attributes."""
    return cache(profile.rule)


def _chosen(row: Row, options: frozenset[Option]) -> Rule:
    """Let the options replace the basic action; where two of them disagree, the one that cleans wins."""
    stated = [
        Rule(row.options[option.column], row.basic, option)
        for option in sorted(options, key=lambda one: one.code)
        if option.column in row.options
    ]
    cleaning = [rule for rule in stated if rule.code != "K"]
    return (cleaning or stated or [Rule(row.basic, row.basic)])[0]
