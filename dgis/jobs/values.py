"""What a job is."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from catalog.callers import Caller
from dgis.commitment.values import written


class Kind(StrEnum):
    """What is to be done."""

    SEND = "send"  # a study or series to a destination, as C-MOVE does
    PREFETCH = "prefetch"  # its records near this gateway, for those who read it later


class State(StrEnum):
    """Where a job is; the last three are the end of it."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"  # every instance went, perhaps with warnings
    FAILED = "failed"  # some did not go, or none
    CANCELLED = "cancelled"


OVER = frozenset({State.DONE, State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class Subject:
    """What is sent: a study, or a series of it; originals, or the de-identified form."""

    patient_key: str
    study_key: str
    series_key: str | None
    original: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """How far it is, in instances."""

    total: int = 0
    completed: int = 0
    warning: int = 0
    failed: int = 0


NOTHING = Counts()


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks, from where, and what is to go to which destination (AE title; "" where nothing is sent)."""

    caller: Caller
    address: str
    destination: str
    subject: Subject
    kind: Kind = Kind.SEND


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is claimed; `claim` is the name of the lease, `attempts` how often it was begun."""

    id: str
    claim: str
    order: Order
    attempts: int


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended; words where something went wrong."""

    state: State
    counts: Counts = NOTHING
    words: str | None = None


def owner_of(caller: Caller) -> str:
    """Return whose jobs these are: one caller's say nothing to another."""
    return hashlib.sha256(written(caller).encode()).hexdigest()[:32]
