"""The worker's clock: APScheduler calls small `run_once` steps, which a test can call without time."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

_log = structlog.get_logger(__name__)

_SPARE_THREADS = 2


@dataclass(frozen=True, slots=True)
class Chore:
    """Something the worker does now and then; `run_once` says whether there may be more to do at once."""

    name: str
    seconds: float
    run_once: Callable[[], bool]


class Worker:
    """Runs chores until it is stopped, each alone in a thread, one round after another."""

    def __init__(self, chores: list[Chore]) -> None:
        threads = len(chores) + _SPARE_THREADS
        executors = {"default": ThreadPoolExecutor(threads)}
        self._scheduler = BackgroundScheduler(executors=executors, timezone="UTC")
        self._stopping = False
        for chore in chores:
            self._scheduler.add_job(
                self._round,
                "interval",
                args=(chore,),
                id=chore.name,
                seconds=chore.seconds,
                max_instances=1,  # a round that takes long is not joined by a second one
                coalesce=True,  # rounds that were missed are one
                misfire_grace_time=None,
            )

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """Begin no further step and wait for those under way."""
        self._stopping = True
        self._scheduler.shutdown(wait=True)

    def _round(self, chore: Chore) -> None:
        try:
            while not self._stopping and chore.run_once():
                pass
        except Exception as error:  # noqa: BLE001 (the next round tries again; one chore must not stop the others)
            _log.warning("chore_failed", chore=chore.name, error=type(error).__name__, exc_info=error)


def once(step: Callable[[], object]) -> Callable[[], bool]:
    """A step that has nothing more to do until its next turn."""

    def runonce() -> bool:
        step()
        return False

    return runonce
