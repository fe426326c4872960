"""Keeping a lease for as long as the work under it takes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import structlog

_log = structlog.get_logger(__name__)


@contextmanager
def kept(
    engine: sa.Engine,
    renew: Callable[[sa.Connection, int], object],
    lease_ms: int,
    clock_ms: Callable[[], int],
) -> Iterator[None]:
    """Renew a lease from another thread: whoever dies lets it run out.

    Args:
        engine: for a short transaction each time.
        renew: sets the lease to end at a moment, epoch milliseconds.
        lease_ms: how long it is.
        clock_ms: the time.
    """
    done = threading.Event()

    def keep() -> None:
        while not done.wait(lease_ms / 3000):
            try:
                with engine.begin() as connection:
                    renew(connection, clock_ms() + lease_ms)
            except sa.exc.SQLAlchemyError as error:
                _log.warning("lease_not_renewed", error=type(error).__name__)

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
