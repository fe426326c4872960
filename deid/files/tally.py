from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from deid.outcome import Published, Withheld


class Fate(StrEnum):
    """What became of a file."""

    PUBLISHED = "published"
    WITHHELD = "withheld"
    LEFT_OUT = "left out"
    CONFLICT = "conflict"
    REFUSED = "refused"
    FAILED = "failed"


# Somebody has to look at these; that a rule withholds a file, or that one is not DICOM, is as it should be.
TROUBLE = frozenset({Fate.CONFLICT, Fate.REFUSED, Fate.FAILED})


class Note(NamedTuple):
    """One file that was not published, by its place in the order of the tree (from 1), and why.

    `path` may name a patient: it is for those who ask for it.
    """

    number: int
    fate: Fate
    reason: str
    path: str


class SeriesKey(NamedTuple):
    """A series by its pseudonyms; "" where the original has none to tell."""

    study: str
    series: str


@dataclass
class SeriesTally:
    """What was done to a series: tags and actions of PS3.15 Annex E with their counts, never values.

    `patient` is the pseudonym, "" while nothing of the series is published. `removed` counts in how many
    instances the options took something away that science would want, in words.
    """

    patient: str = ""
    published: int = 0
    withheld: Counter[str] = field(default_factory=Counter)
    actions: Counter[tuple[int, str]] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)

    def publish(self, patient: str, form: Published, removed: Iterable[str] = ()) -> None:
        """Count an instance that was published under a patient's pseudonym."""
        self.patient = max(self.patient, patient)
        self.published += 1
        self.actions.update(form.report.actions())
        self.removed.update(removed)

    def withhold(self, form: Withheld) -> None:
        """Count an instance that was withheld."""
        self.withheld[form.reason.value] += 1

    def add(self, other: "SeriesTally") -> None:
        """Add what another process counted of the same series."""
        self.patient = max(
            self.patient, other.patient
        )  # the same whatever the order; two are a sender's mistake
        self.published += other.published
        self.withheld.update(other.withheld)
        self.actions.update(other.actions)
        self.removed.update(other.removed)


@dataclass
class Tally:
    """What became of files, counted; adds up in any order."""

    files: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    unchanged: int = 0  # published by an earlier run, or twice in the tree: the same bytes were there already
    sealed: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    notes: list[Note] = field(default_factory=list)
    series: dict[SeriesKey, SeriesTally] = field(default_factory=dict)

    def of(self, key: SeriesKey) -> SeriesTally:
        """Return the counts of one series."""
        return self.series.setdefault(key, SeriesTally())

    def note(self, note: Note) -> None:
        """Count a file that is not published."""
        self.fates[note.fate] += 1
        self.notes.append(note)

    def add(self, other: "Tally") -> None:
        """Add what was counted elsewhere."""
        self.files += other.files
        self.read_bytes += other.read_bytes
        self.written_bytes += other.written_bytes
        self.unchanged += other.unchanged
        self.sealed += other.sealed
        self.fates.update(other.fates)
        self.notes += other.notes
        for key, series in other.series.items():
            self.of(key).add(series)

    @property
    def trouble(self) -> bool:
        """Whether somebody has to look at something."""
        return any(self.fates[fate] for fate in TROUBLE)
