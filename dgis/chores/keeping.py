"""Chores of the worker that keep things in order, and take away what is to go."""

import sqlalchemy as sa

from dgis.cache.eviction import Evictor
from dgis.cache.log import ReceiveLog
from dgis.chores.caring import caring
from dgis.configuration import Configuration
from dgis.departed.notes import Teller
from dgis.erasure import tombstones
from dgis.erasure.eraser import Eraser, Means
from dgis.near.tidying import tidy
from dgis.parts import near_copies, now_ms
from dgis.retention.removal import Removing
from dgis.retention.retainer import Retainer
from dgis.worker import Chore, once
from replica.context import Replicas

_EVICT_SECONDS = 5.0
_ERASE_SECONDS = 1.0
_COMPARE_MS = 6 * 3_600_000  # between passes over all keys: copies that are missing are made good as well
_TELL_SECONDS = 5.0
_TIDY_SECONDS = 15.0
_RETAIN_SECONDS = 3600.0


def erasing(means: Means) -> list[Chore]:
    """Return the chores that do this gateway's share of erasures, and hold the database to the key store."""
    eraser = Eraser(means)
    due_ms = 0

    def erase() -> bool:
        nonlocal due_ms
        done = eraser.run_once().done
        if means.clock_ms() >= due_ms:  # at once after the start: the database may be from a backup
            done += tombstones.compare(means.engine, means.keys, means.clock_ms()).adopted
            due_ms = means.clock_ms() + _COMPARE_MS
        return done > 0

    return [Chore("erase", _ERASE_SECONDS, erase)]


def tending(configuration: Configuration, log: ReceiveLog, replicas: Replicas) -> list[Chore]:
    """Return the chores that keep cache and nodes in order."""
    evictor = Evictor(log.files, replicas.engine, configuration.gateway.name, log.space)
    teller = Teller(replicas.engine, replicas.fleet, now_ms)
    near = near_copies(configuration)
    return [
        Chore("evict", _EVICT_SECONDS, once(evictor.run_once)),
        *caring(configuration, replicas),
        Chore("tidy-near", _TIDY_SECONDS, lambda: tidy(replicas.engine, near) > 0),
        Chore("tell-departed", _TELL_SECONDS, lambda: teller.run_once() > 0),
    ]


def retaining(configuration: Configuration, engine: sa.Engine, log: ReceiveLog) -> list[Chore]:
    """Return the chore that deletes what has been kept long enough, where the configuration says so."""
    gateway, retention = configuration.gateway.name, configuration.retention
    retainer = Retainer(engine, log.files, gateway, now_ms)
    by = Removing(retention.rules, f"{gateway}/worker", "retention") if retention.delete else None
    return [Chore("retain", _RETAIN_SECONDS, once(lambda: retainer.run_once(by)))]
