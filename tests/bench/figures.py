"""What was measured: figures of several runs, beside what they are wanted to be."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

GATEWAY = "gateway"


class Verdict(Enum):
    """How a figure stands to its target."""

    MET = "met"
    NOT_MET = "NOT MET"
    NOT_MEASURED = "not measured"
    NONE = ""  # there is no target


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity of one server, measured once a round; `what` names the work, `unit` what is counted."""

    part: str
    what: str
    unit: str
    who: str
    values: tuple[float, ...] = field(repr=False)

    @property
    def median(self) -> float:
        """The figure to tell."""
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure of the gateway is to be: at least or at most so much, or so many times another figure.

    `to` names whose figure of the same work it is compared with; None: the bound is absolute.
    """

    part: str
    what: str
    unit: str
    bound: float
    at_least: bool = True
    to: str | None = None
    who: str = GATEWAY

    @property
    def words(self) -> str:
        """The target as it stands in a table."""
        sign = ">=" if self.at_least else "<="
        return f"{sign} {self.bound:.3g} x {self.to}" if self.to else f"{sign} {self.bound:,g}"


@dataclass(frozen=True, slots=True)
class Judged:
    """A target with what came of it; `value` is the figure, or its ratio to the other one."""

    target: Target
    value: float | None

    @property
    def verdict(self) -> Verdict:
        """Whether it is met."""
        if self.value is None:
            return Verdict.NOT_MEASURED
        fits = self.value >= self.target.bound if self.target.at_least else self.value <= self.target.bound
        return Verdict.MET if fits else Verdict.NOT_MET


def judge(targets: Iterable[Target], figures: Sequence[Figure]) -> list[Judged]:
    """Return every target with its figure, those without one as well."""
    by = {(each.part, each.what, each.unit, each.who): each.median for each in figures}
    return [Judged(target, _value(target, by)) for target in targets]


def _value(target: Target, by: dict[tuple[str, str, str, str], float]) -> float | None:
    mine = by.get((target.part, target.what, target.unit, target.who))
    if mine is None or target.to is None:
        return mine
    other = by.get((target.part, target.what, target.unit, target.to))
    return mine / other if other else None
