"""Keeping a lease for as long as work on a transaction takes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import structlog

from dgis.commitment import rows
from dgis.commitment.values import Transaction

_log = structlog.get_logger(__name__)


@contextmanager
def kept(
    engine: sa.Engine, transaction: Transaction, lease_ms: int, clock_ms: Callable[[], int]
) -> Iterator[None]:
    """Renew the lease of a transaction from another thread: whoever dies lets it run out."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(lease_ms / 3000):
            try:
                with engine.begin() as connection:
                    rows.renew(connection, transaction, clock_ms() + lease_ms)
            except sa.exc.SQLAlchemyError as error:
                _log.warning("lease_not_renewed", error=type(error).__name__)

    thread = threading.Thread(target=keep, name="commitment-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
