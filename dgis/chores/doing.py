"""Chores of the DICOM door that do what callers asked for: it has what sends."""

import sqlalchemy as sa

from dgis.jobs import queue
from dgis.jobs.runner import Runner
from dgis.parts import now_ms
from dgis.worker import Chore, once

_LOOK_SECONDS = 0.5
_AT_ONCE = 2
_FORGET_SECONDS = 600.0
_KEPT_MS = 7 * 86_400_000  # a job that is over is told of for so long


def doing(runner: Runner, engine: sa.Engine) -> list[Chore]:
    """Return the chores that run jobs, and forget those that have long been over."""

    def forget() -> None:
        with engine.begin() as connection:
            queue.clear(connection, now_ms() - _KEPT_MS)

    running = [Chore(f"jobs-{number}", _LOOK_SECONDS, runner.run_once) for number in range(_AT_ONCE)]
    return [*running, Chore("old-jobs", _FORGET_SECONDS, once(forget))]
