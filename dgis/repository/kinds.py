"""Which audit message of DICOM PS3.15 A.5.3 an event of the trail becomes: one table."""

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from catalog.audit.values import Event, Happening, Outcome
from dgis.repository import codes
from dgis.repository.codes import Code


class Shape(Enum):
    """Who takes part and what is named, by the table of PS3.15 A.5.3."""

    APPLICATION = "A.5.3.1"
    LOG_USED = "A.5.3.2"
    BEGIN = "A.5.3.3"
    EXPORT = "A.5.3.4"
    ACCESS = "A.5.3.6"
    SENT = "A.5.3.7, this gateway being the source"
    RECEIVED = "A.5.3.7, this gateway being the destination"
    DELETED = "A.5.3.8"
    QUERY = "A.5.3.10"
    ALERT = "A.5.3.11"
    LOGIN = "A.5.3.12"


ONE_PATIENT = frozenset({Shape.BEGIN, Shape.ACCESS, Shape.SENT, Shape.RECEIVED, Shape.DELETED})
"""Messages that may speak of a single patient only."""


@dataclass(frozen=True, slots=True)
class Kind:
    """EventID, EventActionCode and EventTypeCode of a message, and its shape."""

    event: Code
    action: str
    shape: Shape
    type: Code | None = None


def _alert(type_code: Code) -> Kind:
    return Kind(codes.SECURITY_ALERT, "E", Shape.ALERT, type_code)


_LOGIN = Kind(codes.USER_AUTHENTICATION, "E", Shape.LOGIN, codes.LOGIN)
_SENT = Kind(codes.INSTANCES_TRANSFERRED, "R", Shape.SENT)

# By event, and by the word `what` of its detail where that makes a difference.
KINDS = MappingProxyType(
    {
        (Event.ACTIVITY, "start"): Kind(
            codes.APPLICATION_ACTIVITY, "E", Shape.APPLICATION, codes.APPLICATION_START
        ),
        (Event.ACTIVITY, "stop"): Kind(
            codes.APPLICATION_ACTIVITY, "E", Shape.APPLICATION, codes.APPLICATION_STOP
        ),
        (Event.ASSOCIATION, ""): _LOGIN,
        (Event.LOGIN, ""): _LOGIN,
        (Event.STORE, ""): Kind(codes.INSTANCES_TRANSFERRED, "C", Shape.RECEIVED),
        (Event.QUERY, ""): Kind(codes.QUERY, "E", Shape.QUERY),
        (Event.RETRIEVE, ""): Kind(codes.BEGIN_TRANSFERRING, "E", Shape.BEGIN),
        (Event.TRANSFER, ""): _SENT,
        (Event.COMMITMENT, ""): Kind(codes.INSTANCES_ACCESSED, "R", Shape.ACCESS),
        (Event.COMMITMENT, "retry"): _alert(codes.RESTRICTED_FUNCTION),
        (Event.AVAILABILITY, ""): Kind(codes.INSTANCES_ACCESSED, "R", Shape.ACCESS),
        (Event.RELEASE, "find"): Kind(codes.INSTANCES_ACCESSED, "R", Shape.ACCESS),
        (Event.RELEASE, "retrieve"): Kind(codes.BEGIN_TRANSFERRING, "E", Shape.BEGIN),
        (Event.RELEASE, ""): Kind(codes.INSTANCES_ACCESSED, "R", Shape.ACCESS),
        (Event.REFUSAL, ""): _alert(codes.RESTRICTED_FUNCTION),
        (Event.PUBLISH, ""): Kind(codes.EXPORT, "R", Shape.EXPORT),
        (Event.GRANT, ""): _alert(codes.OBJECT_SECURITY_CHANGED),
        (Event.CONFIGURATION, ""): _alert(codes.SECURITY_CONFIGURATION),
        (Event.ACCOUNT, ""): _alert(codes.USER_SECURITY_CHANGED),
        (Event.CREDENTIAL, ""): _LOGIN,
        (Event.CREDENTIAL, "root"): _alert(codes.RESTRICTED_FUNCTION),
        (Event.KEYS, ""): _alert(codes.SECURITY_CONFIGURATION),
        (Event.REVIEW, ""): _alert(codes.OBJECT_SECURITY_CHANGED),
        (Event.CONFLICT, ""): _alert(codes.OBJECT_SECURITY_CHANGED),
        (Event.DELETE, ""): Kind(codes.STUDY_DELETED, "D", Shape.DELETED),
        (Event.DELETE, "cache"): _alert(codes.RESTRICTED_FUNCTION),
        (Event.TRAIL, ""): Kind(codes.AUDIT_LOG_USED, "R", Shape.LOG_USED),
    }
)
_UNKNOWN = _alert(codes.RESTRICTED_FUNCTION)
_NOT_ADMITTED = _alert(codes.NODE_AUTHENTICATION)
_NOT_AUTHORIZED = "0x0124"  # PS3.7 annex C.5.20


def kind_of(happening: Happening) -> Kind:
    """Return which message an event becomes."""
    failed = happening.outcome is not Outcome.SUCCESS
    if failed and happening.event is Event.ASSOCIATION:
        return _NOT_ADMITTED
    if failed and happening.detail.get("status") == _NOT_AUTHORIZED:
        return _alert(codes.RESTRICTED_FUNCTION)
    what = happening.detail.get("how" if happening.event is Event.RELEASE else "what")
    event = happening.event
    return KINDS.get((event, str(what))) or KINDS.get((event, "")) or _UNKNOWN
