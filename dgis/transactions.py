"""Transactions once more, where the database says that the next attempt may well succeed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import sqlalchemy as sa
import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from dgis.postgres import READ_ONLY

_log = structlog.get_logger(__name__)

_Result = TypeVar("_Result")

_STATES: Final = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available: lock_timeout ran out
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now: it starts, or stops
    "57P05",  # idle_session_timeout
    "25P03",  # idle_in_transaction_session_timeout
    READ_ONLY,
}
_CLASSES: Final = ("08", "53")
"""PostgreSQL appendix A: Connection Exception, Insufficient Resources (too many connections, no memory)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on; `first_seconds` bounds the first pause, later ones grow to `longest_seconds`."""

    seconds: float
    first_seconds: float = 0.05
    longest_seconds: float = 1.0


DOOR: Final = Patience(10.0)
"""A person waits at the other end, and may ask again."""
WORKER: Final = Patience(60.0)
"""Longer than a fail-over takes: what was packed need not be packed again."""


def may_pass(error: BaseException) -> bool:
    """Tell whether the same transaction may succeed a moment later: nothing is wrong with it itself."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # libpq could not connect, or lost the connection; SQLite has no states
        return isinstance(error, sa.exc.OperationalError) and hasattr(error.orig, "sqlstate")
    return state in _STATES or state.startswith(_CLASSES)


def again(
    work: Callable[[], _Result], patience: Patience, sleep: Callable[[float], None] = time.sleep
) -> _Result:
    """Do `work`, one transaction from its beginning to its commit, and once more while its failure may pass.

    It must bear repetition also where the commit came through and only its answer was lost: what it finds
    done it must leave, as everything does that looks before it writes.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the last failure, when the patience is over or it would not pass.
    """
    retrying = Retrying(
        retry=retry_if_exception(may_pass),
        stop=stop_after_delay(patience.seconds),
        wait=wait_random_exponential(multiplier=patience.first_seconds, max=patience.longest_seconds),
        before_sleep=_say,
        reraise=True,
        sleep=sleep,
    )
    return retrying(work)


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.info("transaction_again", attempt=state.attempt_number, error=type(error).__name__)
