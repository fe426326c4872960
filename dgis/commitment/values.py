"""What passes between the steps of a storage commitment."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from catalog.callers import Caller, Right
from dgis.dimse.references import Reference
from dgis.identity.wire import from_json, to_json


class State(StrEnum):
    """Where a transaction is; the last three are the end of it."""

    WAITING = "waiting"  # for instances to be published, copied and proven
    JUDGED = "judged"  # its report is to be sent
    REPORTED = "reported"
    GIVEN_UP = "given up"  # nobody took the report for `report_days`
    ERASED = "erased"  # a patient among its instances was erased: it is not reported


class InstanceState(StrEnum):
    """Whether one instance is decided on."""

    WAITING = "waiting"
    COMMITTED = "committed"
    FAILED = "failed"


class Standing(StrEnum):
    """What was found of an instance, in words that an operator reads."""

    UNSUPPORTED_CLASS = "not of a class that is stored"
    ABSENT = "not here, or not for this requestor"
    OTHER_CLASS = "of another class than was said"
    DISPUTED = "other bytes came under its UID: dgis conflicts list"
    UNPUBLISHED = "not published yet"
    FEW_COPIES = "fewer copies than the rule wants"
    UNPROVEN = "a copy did not give it back"
    PROVEN = "given back by every copy"


class Reason:
    """Failure Reason (0008,1197): PS3.3 C.14.1.1."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    RESOURCE_LIMITATION = 0x0213


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for a commitment, and from where."""

    calling_ae: str
    called_ae: str
    address: str
    caller: Caller

    @property
    def requestor(self) -> str:
        """Whose transaction UIDs these are: one requestor's say nothing about another's."""
        said = f"{self.calling_ae}\n{written(self.caller)}"
        return hashlib.sha256(said.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction that a worker or a door has claimed; `claim` is the name of its lease."""

    id: int
    claim: str
    transaction_uid: str = field(repr=False)
    request: Request
    requested_ms: int
    judged_ms: int | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """One instance of a transaction that is not decided on."""

    place: int
    reference: Reference = field(repr=False)


@dataclass(frozen=True, slots=True)
class Known:
    """An original that the requestor may retrieve: what it is, where it lies, what its bytes digest to."""

    phi_instance_id: int
    sop_class_uid: str
    instance_key: str
    patient_key: str
    study_key: str
    record_key: str | None  # none: not published
    position: int | None
    withheld: bool  # it lies in the sealed companion alone
    disputed: bool
    sha256: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one instance."""

    place: int
    standing: Standing
    known: Known | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """One instance that is decided on: committed, or failed for a reason."""

    finding: Finding
    reason: int | None  # none: committed


@dataclass(frozen=True, slots=True)
class Judged:
    """What one look at a transaction came to."""

    settled: Sequence[Settled]
    waiting: Sequence[Finding]


def written(caller: Caller) -> str:
    """Return a caller as the row of its transaction keeps it."""
    said = {
        "name": caller.name,
        "assertions": to_json(caller.assertions),
        "may": sorted(right.value for right in caller.may),
    }
    return json.dumps(said, sort_keys=True)


def read_caller(text: str) -> Caller:
    """Return the caller that `written` wrote."""
    said = json.loads(text)
    return Caller(said["name"], from_json(said["assertions"]), frozenset(map(Right, said["may"])))
