"""Who may: the decision as a pure function over values, with the chain of rules that led to it.

Deny by default. A right is granted when the caller's ceiling has it, some grant in force allows it, and none
denies it; what needs several rights (an original: `PHI` besides) needs each. `catalog.clearance` says the
same in SQL, and a property test holds the two together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catalog.callers import Caller, Right
from catalog.grants import Grant, What


@dataclass(frozen=True, slots=True)
class Subject:
    """A series, as grants name it: the unit of decision.

    `linked` are the keys of the patients that its patient is linked with (`catalog.links`).
    """

    facility: str
    contributor_id: int
    patient_key: str
    study_key: str
    series_key: str
    linked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain: what was looked at, and what it said."""

    right: Right
    holds: bool
    words: str
    grant_id: int | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """The caller may; `chain` says why."""

    chain: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The caller may not; `reason` is the link that decided."""

    reason: str
    chain: tuple[Step, ...]


Decision = Granted | Refused

FIND_DEIDENTIFIED = frozenset({Right.FIND})
FIND_ORIGINAL = frozenset({Right.FIND, Right.PHI})
RETRIEVE_DEIDENTIFIED = frozenset({Right.RETRIEVE})
RETRIEVE_ORIGINAL = frozenset({Right.RETRIEVE, Right.PHI})


def covers(what: What, subject: Subject) -> bool:
    """Whether a grant on `what` speaks of the subject."""
    pairs = (
        (what.facility, subject.facility),
        (what.contributor_id, subject.contributor_id),
        (None if what.linked else what.patient_key, subject.patient_key),
        (what.study_key, subject.study_key),
        (what.series_key, subject.series_key),
    )
    if what.linked and what.patient_key not in {subject.patient_key, *subject.linked}:
        return False
    return all(asked is None or asked == there for asked, there in pairs)


def decide(
    caller: Caller, rights: frozenset[Right], subject: Subject, grants: Iterable[Grant], now_ms: int
) -> Decision:
    """Decide whether the caller has all of `rights` on the subject at `now_ms` (epoch milliseconds)."""
    applying = [
        grant
        for grant in grants
        if grant.holds_at(now_ms)
        and grant.who.satisfied_by(caller.assertions)
        and (not grant.allow or not caller.assertions.alone or _names_itself(grant, caller))
        and covers(grant.what, subject)
    ]
    chain = tuple(_step(caller, right, applying) for right in Right if right in rights)
    failed = next((step for step in chain if not step.holds), None)
    return Granted(chain) if failed is None else Refused(failed.words, chain)


def decide_all(
    callers: Sequence[Caller],
    rights: frozenset[Right],
    subject: Subject,
    grants: Iterable[Grant],
    now_ms: int,
) -> Decision:
    """Decide for everybody concerned: a retrieve to somebody else (C-MOVE) needs requester and destination.

    A destination without clearance never receives originals, whoever asked.
    """
    held = list(grants)
    chain: tuple[Step, ...] = ()
    for caller in callers:
        decision = decide(caller, rights, subject, held, now_ms)
        chain += decision.chain
        if isinstance(decision, Refused):
            return Refused(f"{caller.name}: {decision.reason}", chain)
    return Granted(chain)


def _names_itself(grant: Grant, caller: Caller) -> bool:
    return grant.what.patient_key is not None and grant.who.key in caller.assertions.opening_patterns()


def _step(caller: Caller, right: Right, applying: list[Grant]) -> Step:
    if right not in caller.may:
        return Step(right, holds=False, words=f"{right.value} is above the ceiling of this caller")
    speaking = [grant for grant in applying if right in grant.may]
    denial = next((grant for grant in speaking if not grant.allow), None)
    if denial is not None:
        words = f"{right.value} is denied by grant {denial.id}: {denial.reason}"
        return Step(right, holds=False, words=words, grant_id=denial.id)
    allowance = next((grant for grant in speaking if grant.allow), None)
    if allowance is None:
        return Step(right, holds=False, words=f"no grant in force gives {right.value} here")
    words = f"{right.value} is given by grant {allowance.id}: {allowance.reason}"
    return Step(right, holds=True, words=words, grant_id=allowance.id)
