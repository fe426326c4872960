"""The words of the publisher: parts of series, the originals in them, and how far they are."""

from dataclasses import dataclass, field
from enum import StrEnum

from deid.pixel_decision import PixelDecision
from dgis.cache.values import Location
from storage_nodes.names import RecordKey


class PartState(StrEnum):
    """Where a part stands."""

    WAITING = "waiting"  # for a worker, or for its next attempt
    DECIDED = "decided"  # likewise; of instances that were withheld, by decision of a reviewer
    PUBLISHED = "published"


class Step(StrEnum):
    """How far the last attempt came; for people."""

    PLANNED = "planned"
    PACKING = "packing"
    PLACING = "placing"
    COMMITTING = "committing"
    DONE = "done"


UNFINISHED = (PartState.WAITING.value, PartState.DECIDED.value)


@dataclass(frozen=True, slots=True)
class Sealed:
    """Where an original lies that the cache has let go of: its place in a companion; length in bytes."""

    record_key: RecordKey
    position: int
    length: int
    sha256: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Original:
    """One original of a part: its row, where its bytes lie, and what was decided on its pixels."""

    phi_instance_id: int
    sop_instance_uid: str = field(repr=False)
    transfer_syntax: str
    location: Location | Sealed
    decision: PixelDecision | None = None
    decision_id: int = 0

    @property
    def length(self) -> int:
        """Bytes of the data set."""
        return self.location.length


@dataclass(frozen=True, slots=True)
class Owner:
    """One worker of one gateway: who holds a lease."""

    gateway_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Job:
    """One series of one gateway: what of it lies in that gateway's cache is published together."""

    gateway_id: str
    phi_series_id: int


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a part begins: what it waits for, and attempts in packing that ended already, and how."""

    state: PartState = PartState.WAITING
    strikes: int = 0
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended an attempt, in words without any value from the images.

    `outside`: nodes, keys or the database failed, no instance can be to blame.
    """

    words: str
    outside: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What a published part came to: instances sealed whole, bytes of record and companion (one copy).

    `removed` is what the options took from what is published, in words.
    """

    withheld: int
    stored_bytes: int
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A claimed part; `originals` in the order in which they were planned."""

    id: int
    phi_series_id: int
    record_key: RecordKey
    attempts: int
    originals: tuple[Original, ...]
    state: PartState = PartState.WAITING
    planned_ms: int = 0

    @property
    def decided(self) -> bool:
        """Whether a reviewer's decision is carried out."""
        return self.state is PartState.DECIDED
