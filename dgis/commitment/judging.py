"""When an instance is committed, waited for or failed: one table, pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from dgis.commitment.values import Finding, Judged, Reason, Settled, Standing

_FIRST_LOOK_MS = 1_000
_LAST_LOOK_MS = 60_000
_SLOWER = 10  # a transaction that waits for ten minutes is looked at every minute
_FIRST_RETRY_MS = 30_000
_LAST_RETRY_MS = 6 * 3_600_000
_MOST_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, milliseconds.

    Attributes:
        arrival_ms: for an instance that is not here: it may have come, and not be indexed yet.
        wait_ms: for one that is here to be published, copied and proven.
        report_ms: for somebody to take the report, from the judgement on.
    """

    arrival_ms: int
    wait_ms: int
    report_ms: int


class _For(Enum):
    """What is worth waiting for."""

    NOTHING = auto()
    ARRIVAL = auto()
    KEEPING = auto()


# PS3.3 C.14.1.1. What is not here and what is not for this requestor are one row, on purpose.
_RULES: dict[Standing, tuple[_For, int | None]] = {
    Standing.UNSUPPORTED_CLASS: (_For.NOTHING, Reason.CLASS_NOT_SUPPORTED),
    Standing.ABSENT: (_For.ARRIVAL, Reason.NO_SUCH_INSTANCE),
    Standing.OTHER_CLASS: (_For.NOTHING, Reason.CLASS_CONFLICT),
    Standing.DISPUTED: (_For.KEEPING, Reason.PROCESSING_FAILURE),
    Standing.UNPUBLISHED: (_For.KEEPING, Reason.PROCESSING_FAILURE),
    Standing.FEW_COPIES: (_For.KEEPING, Reason.RESOURCE_LIMITATION),
    Standing.UNPROVEN: (_For.KEEPING, Reason.PROCESSING_FAILURE),
    Standing.PROVEN: (_For.NOTHING, None),
}


def judge(findings: Iterable[Finding], requested_ms: int, now_ms: int, patience: Patience) -> Judged:
    """Tell which instances are decided on, and which are waited for."""
    until_ms = {
        _For.NOTHING: requested_ms,
        _For.ARRIVAL: requested_ms + patience.arrival_ms,
        _For.KEEPING: requested_ms + patience.wait_ms,
    }
    settled: list[Settled] = []
    waiting: list[Finding] = []
    for finding in findings:
        worth, reason = _RULES[finding.standing]
        if now_ms >= until_ms[worth]:
            settled.append(Settled(finding, reason))
        else:
            waiting.append(finding)
    return Judged(settled, waiting)


def next_look_ms(requested_ms: int, now_ms: int) -> int:
    """Return when a transaction is looked at again: by its age alone, which tells nothing."""
    age_ms = max(0, now_ms - requested_ms)
    return now_ms + min(max(age_ms // _SLOWER, _FIRST_LOOK_MS), _LAST_LOOK_MS)


def next_report_ms(attempts: int, now_ms: int) -> int:
    """Return when a report is sent again after so many failures: twice as long each time, up to six hours."""
    doublings = min(max(0, attempts - 1), _MOST_DOUBLINGS)
    return now_ms + min(_FIRST_RETRY_MS << doublings, _LAST_RETRY_MS)
