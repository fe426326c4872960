"""What is recorded of who did what: the events of DICOM PS3.15 A.5, and those of this gateway's own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


class Event(StrEnum):
    """What happened; a name once given is kept for ever, for it is hashed into the trail."""

    ACTIVITY = "activity"  # the gateway started or stopped: PS3.15 A.5.3.1
    ASSOCIATION = "association"  # somebody was admitted or turned away: A.5.3.12, A.5.3.11
    LOGIN = "login"  # somebody proved who they are over HTTP, or did not: A.5.3.12
    STORE = "store"  # instances came in: A.5.3.7
    QUERY = "query"  # A.5.3.10
    RETRIEVE = "retrieve"  # instances were named to be sent: A.5.3.3
    TRANSFER = "transfer"  # instances were sent: A.5.3.7
    COMMITMENT = "commitment"  # storage commitment was asked for, or told of: A.5.3.6
    AVAILABILITY = "availability"  # a destination was told what can be retrieved: A.5.3.6
    RELEASE = "release"  # identifying data left, in answers or as original instances: A.5.3.6, A.5.3.3
    REFUSAL = "refusal"  # something was asked for and not given: A.5.3.11
    PUBLISH = "publish"  # a part is in the grid: A.5.3.4
    GRANT = "grant"  # a grant was given or ended: A.5.3.11
    CONFIGURATION = "configuration"  # A.5.3.11
    ACCOUNT = "account"
    CREDENTIAL = "credential"  # a login was turned into one of the grid's own: A.5.3.12
    KEYS = "keys"
    REVIEW = "review"
    CONFLICT = "conflict"  # an operator chose between bytes of one UID
    DELETE = "delete"  # A.5.3.8
    TRAIL = "trail"  # the trail was read: A.5.3.2


class Outcome(IntEnum):
    """EventOutcomeIndicator of PS3.15 A.5.2."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8


@dataclass(frozen=True, slots=True)
class Happening:
    """One operation, as it goes into the trail.

    `caller` is who asked, as text that names principal and issuer; `patients` are patient keys (keyed
    pseudonyms). `detail` may hold what was asked, original values among it: the trail is a PHI store.
    """

    event: Event
    caller: str
    outcome: Outcome = Outcome.SUCCESS
    address: str = ""
    count: int = 1
    patients: tuple[str, ...] = ()
    detail: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the trail: a happening with its place in the chain of its writer, from 1."""

    writer: str
    number: int
    at_ms: int
    happening: Happening
    digest: bytes


def encoded(happening: Happening) -> str:
    """Return the one JSON text of what a row keeps beside its own columns."""
    kept = {
        "address": happening.address,
        "patients": list(happening.patients),
        "detail": dict(happening.detail),
    }
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
