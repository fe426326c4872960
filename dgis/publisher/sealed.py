"""Reading the sealed rows of a part again (dgis.publisher.rows writes them)."""

import json
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from catalog.extract import Row, filled
from catalog.query import Level
from dgis.identity.wire import from_json
from dgis.publisher.about import SUPERSEDES, Contribution

_FIRST, _SECOND = 1, 2
WITHHELD = "it was sealed whole; why was not kept"
"""Of parts that were sealed before the reason was kept beside them."""


@dataclass(frozen=True, slots=True)
class SealedRows:
    """What was sealed beside the originals of a part; lists are in the order of the companion.

    `withheld` are the reasons of the last ones; None and empty where the rows are of version 1.
    """

    patient_key: str
    study_key: str
    series_key: str
    contribution: Contribution
    received_ms: tuple[int, ...]
    gateway: str = ""
    planned_ms: int | None = None
    decided: bool = False
    supersedes: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    withheld: tuple[str, ...] | None = None
    above: tuple[Row, Row, Row] | None = field(default=None, repr=False)  # patient, study, series


def read_rows(raw: bytes) -> SealedRows | None:
    """Return what the rows say; None where a later version wrote them."""
    try:
        said = json.loads(raw)
        if said["version"] not in {_FIRST, _SECOND}:
            return None
        first = _first(said)
        return first if said["version"] == _FIRST else _second(first, said)
    except (KeyError, TypeError, ValueError):
        return None


def _first(said: Any) -> SealedRows:  # noqa: ANN401 - parsed JSON
    times = said["received_ms"]
    return SealedRows(
        patient_key=said["patient_key"],
        study_key=said["study_key"],
        series_key=said["series_key"],
        contribution=Contribution(said["facility"], from_json(said["assertions"])),
        received_ms=tuple(accumulate(times["steps"], initial=times["first"])),
    )


def _second(first: SealedRows, said: Any) -> SealedRows:  # noqa: ANN401 - parsed JSON
    patient, study, series = (filled(level, said[level.value.lower()]) for level in _ABOVE)
    return SealedRows(
        first.patient_key,
        first.study_key,
        first.series_key,
        first.contribution,
        first.received_ms,
        gateway=said["gateway"],
        planned_ms=said["planned_ms"],
        decided=said["decided"],
        supersedes=tuple(said.get(SUPERSEDES, ())),
        locations=tuple(said["locations"]),
        withheld=tuple(said["withheld"]),
        above=(patient, study, series),
    )


_ABOVE = (Level.PATIENT, Level.STUDY, Level.SERIES)
