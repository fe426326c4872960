"""The words of a review: what waits, what can be decided, and what is answered."""

import re
from dataclasses import dataclass
from enum import StrEnum

from deid.outcome import WithheldReason
from deid.pixel_decision import DecidedBy, PixelDecision
from deid.rectangles import Rectangle

# What a reviewer can decide on: verdicts on pixels. Malformed and undecodable instances are not among them,
# nor documents and surfaces, which have no pixels to look at.
REVIEWABLE = frozenset(
    {
        WithheldReason.DECLARED_BURNED_IN,
        WithheldReason.SCREEN_CONTENT,
        WithheldReason.SLIDE_LABEL,
        WithheldReason.RISKY_MODALITY,
        WithheldReason.RISKY_SOP_CLASS,
        WithheldReason.COLOUR_CAPTURE,
        WithheldReason.UNKNOWN_SOP_CLASS,
        WithheldReason.NO_REGIONS,
        WithheldReason.NOT_DECODED,
        WithheldReason.NOT_BLANKED,
        WithheldReason.WITHDRAWN,
    }
)

_FRAMES = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_ALL = "all"
_LONGEST_NAME = 200

Frames = tuple[tuple[int, int], ...]


class Choice(StrEnum):
    """What a reviewer says of an instance."""

    RELEASE = "release"  # no identity shows: the pixels are published as they are
    BLANK = "blank"  # published once rectangles are blanked
    KEEP = "keep"  # stays sealed whole
    WITHDRAW = "withdraw"  # what was decided before does not hold any more


PUBLISHING = frozenset({Choice.RELEASE, Choice.BLANK})


class State(StrEnum):
    """Where an instance stands with its reviewers."""

    WAITING = "waiting"  # for a decision
    ON_ITS_WAY = "on its way"  # decided to be published, not yet published
    PUBLISHED = "published"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision as a reviewer says it.

    `frames` are ranges from 1, both ends meant; none: all frames.

    Raises:
        ValueError: a choice with what does not belong to it, or without what does.
    """

    choice: Choice
    rectangles: tuple[Rectangle, ...] = ()
    frames: Frames = ()

    def __post_init__(self) -> None:
        if (self.choice is Choice.BLANK) != bool(self.rectangles):
            raise ValueError("rectangles belong to `blank`, and `blank` needs one")
        if self.frames and not self.rectangles:
            raise ValueError("frames belong to rectangles")
        if any(first < 1 or last < first for first, last in self.frames):
            raise ValueError("frames are numbered from 1, and a range ends behind its beginning")

    @property
    def publishes(self) -> bool:
        """Whether the instance is to be published."""
        return self.choice in PUBLISHING

    @property
    def on_pixels(self) -> PixelDecision:
        """What de-identification is told of a decision to publish.

        Raises:
            ValueError: it is none.
        """
        if not self.publishes:
            raise ValueError(f"{self.choice.value} publishes nothing")
        return PixelDecision(DecidedBy.REVIEWER, self.rectangles, self.frames)


def parse_frames(text: str) -> Frames:
    """Read `all`, or numbers and ranges such as `1-10,12`.

    Raises:
        ValueError: it is written otherwise.
    """
    if text in {"", _ALL}:
        return ()
    found = [_FRAMES.fullmatch(part.strip()) for part in text.split(",")]
    if not all(found):
        raise ValueError(f"frames are written `all` or like 1-10,12, not {text!r}")
    return tuple((int(each[1]), int(each[2] or each[1])) for each in found if each is not None)


def written_frames(frames: Frames) -> str:
    """Write frames as `parse_frames` reads them; empty for all."""
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in frames)


def parse_name(text: str) -> str:
    """Return who says it, as it is recorded.

    Raises:
        ValueError: there is no name, or it holds what no log should.
    """
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a name has 1 to {_LONGEST_NAME} printable characters")
    return name


@dataclass(frozen=True, slots=True)
class Said:
    """A decision as it stands in the log; `outcome` in words, empty where nothing came of it yet."""

    id: int
    series: str
    instance: str
    ruling: Ruling
    said_by: str
    at_ms: int
    previous_id: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Item:
    """One instance that was sealed whole for its pixels; its keys are pseudonyms.

    `since_ms` is when it came to wait: its publication, or the last decision. `words` is why the last
    decision could not be carried out.
    """

    series: str
    instance: str
    state: State
    reason: str
    modality: str
    rows: int
    columns: int
    frames: int
    since_ms: int
    words: str


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision is recorded for so many instances; it is carried out by the worker."""

    instances: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was recorded; the reason is in words."""

    reason: str


Answer = Decided | Refused
