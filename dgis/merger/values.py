"""The words of merging: small parts, the rule that says which, and a merge that was chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dgis.publisher.plan import cut
from storage_nodes.names import RecordKey


class Step(StrEnum):
    """How far the last attempt came; for people."""

    WAITING = "waiting"
    PACKING = "packing"
    PLACING = "placing"
    COMMITTING = "committing"


@dataclass(frozen=True, slots=True)
class Rule:
    """When parts of a series are merged: so many, each below so many raw bytes, the last one so old.

    `parts` 0: never. `most_bytes` are the raw bytes of a merged part.
    """

    parts: int
    below_bytes: int
    most_bytes: int
    quiet_ms: int


@dataclass(frozen=True, slots=True)
class SmallPart:
    """A published part that may be merged; `length` in raw bytes.

    `decided` parts hold what reviewers decided to publish; by that a rebuild tells them from those in which
    it had been withheld.
    """

    record_key: str
    decided: bool
    length: int
    planned_ms: int
    published_ms: int


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge that is claimed: parts `sources` of a series into the record `record_key`."""

    phi_series_id: int
    record_key: RecordKey
    sources: tuple[str, ...]
    attempts: int


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended an attempt, in words without any value from the images; `anew`: choose other parts."""

    words: str
    anew: bool = False


def choose(parts: Sequence[SmallPart], rule: Rule) -> list[SmallPart]:
    """Return the parts to merge now, in the order they were planned; none where there are too few."""
    for decided in (False, True):
        alike = sorted(
            (part for part in parts if part.decided is decided and part.length < rule.below_bytes),
            key=lambda part: (part.planned_ms, part.record_key),
        )
        for some in cut(alike, rule.most_bytes):
            if rule.parts and len(some) >= max(rule.parts, 2):
                return some
    return []
