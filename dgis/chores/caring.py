"""What the worker does for the nodes and the copies on them, now and then."""

from collections.abc import Callable

from dgis.configuration import Configuration
from dgis.publisher.labelling import label
from dgis.worker import Chore, once
from replica import check, clean, dark, fill, leaving, move, review, survey
from replica.allowance import Allowance
from replica.context import Replicas
from replica.weighing import weigh

_PROBE_SECONDS = 10.0
_FILL_SECONDS = 2.0
_CHECK_SECONDS = 5.0
_SCRUB_SECONDS = 1.0
_SURVEY_SECONDS = 120.0  # for a slice: a node is gone through in 17 hours
_MOVE_SECONDS = 1.0
_CLEAN_SECONDS = 60.0
_REVIEW_SECONDS = 300.0
_FORGET_SECONDS = 60.0
_LEFTOVERS_SECONDS = 3600.0
_DAY_MS = 24 * 3_600_000
_BEGIN_AT = 0.75  # of the period, so that what was verified on one day need not be on one day again


def caring(configuration: Configuration, replicas: Replicas) -> list[Chore]:
    """Return the chores that bring every copy to where it belongs and keep it good."""
    gateway = configuration.gateway
    grace_ms = configuration.care.dark_grace_days * _DAY_MS
    return [
        Chore("probe", _PROBE_SECONDS, once(replicas.fleet.probe)),
        Chore("fill", _FILL_SECONDS, lambda: fill.run_once(replicas) != fill.Filled()),
        Chore("check", _CHECK_SECONDS, lambda: check.run_once(replicas) != check.Checked()),
        Chore("scrub", _SCRUB_SECONDS, _scrubbing(configuration, replicas)),
        Chore("survey", _SURVEY_SECONDS, once(lambda: survey.run_once(replicas))),
        Chore("dark", _FORGET_SECONDS, lambda: _settled(dark.run_once(replicas, grace_ms))),
        Chore("move", _MOVE_SECONDS, _moving(configuration, replicas)),
        Chore("clean", _CLEAN_SECONDS, _cleaning(configuration, replicas)),
        Chore("leftovers", _LEFTOVERS_SECONDS, once(lambda: clean.clean_leftovers(replicas.fleet))),
        Chore("review", _REVIEW_SECONDS, _reviewing(replicas)),
        Chore("forget", _FORGET_SECONDS, lambda: leaving.forget_removed(replicas) > 0),
        Chore("weigh", _REVIEW_SECONDS, once(lambda: weigh(replicas.engine))),
        Chore("label", _REVIEW_SECONDS, lambda: label(replicas.engine, gateway.name, gateway.facility) > 0),
    ]


def _scrubbing(configuration: Configuration, replicas: Replicas) -> Callable[[], bool]:
    """Read again what was verified longest ago; the order is in the index, so a restart goes on with it."""
    care = configuration.care
    allowance = Allowance(care.scrub_bytes_per_second, replicas.clock_ms)
    age_ms = int(care.scrub_days * _DAY_MS * _BEGIN_AT)

    def run_once() -> bool:
        if not allowance.ready():
            return False
        checked = check.run_once(replicas, 1, replicas.clock_ms() - age_ms)
        allowance.spend(checked.read_bytes)
        return checked != check.Checked()

    return run_once


def _cleaning(configuration: Configuration, replicas: Replicas) -> Callable[[], bool]:
    grace_ms = configuration.care.superseded_grace_seconds * 1000
    return lambda: clean.run_once(replicas, superseded_grace_ms=grace_ms).copies > 0


def _settled(found: dark.Settled) -> bool:
    return found.adopted + found.doomed > 0


def _moving(configuration: Configuration, replicas: Replicas) -> Callable[[], bool]:
    allowance = Allowance(configuration.care.move_bytes_per_second, replicas.clock_ms)

    def run_once() -> bool:
        if not allowance.ready():
            return False
        moved = move.run_once(replicas, limit=1)
        allowance.spend(moved.copied_bytes)
        return moved != move.Moved()

    return run_once


def _reviewing(replicas: Replicas) -> Callable[[], bool]:
    """Go through the whole index in steps, and begin anew at the end."""
    next_id = 0

    def run_once() -> bool:
        nonlocal next_id
        next_id = review.run_once(replicas, next_id).next_id
        return next_id > 0

    return run_once
