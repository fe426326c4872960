"""The words of the publisher: parts of series, the originals in them, and how far they are."""

from dataclasses import dataclass, field
from enum import StrEnum

from dgis.cache.values import Location
from storage_nodes.names import RecordKey


class PartState(StrEnum):
    """Where a part stands."""

    WAITING = "waiting"  # for a worker, or for its next attempt
    PUBLISHED = "published"


class Step(StrEnum):
    """How far the last attempt came; for people."""

    PLANNED = "planned"
    PACKING = "packing"
    PLACING = "placing"
    COMMITTING = "committing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Original:
    """One original of a part: its row and where its bytes lie."""

    phi_instance_id: int
    sop_instance_uid: str = field(repr=False)
    transfer_syntax: str
    location: Location

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
class Suspicion:
    """Why something may be wrong with an instance of a part: attempts that ended in packing, and how."""

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
    """What a published part came to: instances sealed whole, bytes of record and companion (one copy)."""

    withheld: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """A claimed part; `originals` in the order in which they were planned."""

    id: int
    phi_series_id: int
    record_key: RecordKey
    attempts: int
    originals: tuple[Original, ...]
