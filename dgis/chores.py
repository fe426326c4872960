"""What the worker does now and then, as `run_once` steps over the parts."""

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from deid.engine import Deidentifier
from deid.keys.store import KeyStore
from deid.pseudonyms import SiteSecrets
from dgis.accounting import Accounts
from dgis.cache.eviction import Evictor
from dgis.cache.files import SegmentFiles
from dgis.cache.index import CacheIndex
from dgis.cache.log import ReceiveLog
from dgis.configuration import Configuration
from dgis.parts import deid_profile, now_ms, pixel_rules
from dgis.publisher.pack import Packer
from dgis.publisher.publisher import Means, Pace, Publisher
from dgis.publisher.values import Owner
from dgis.worker import Chore
from replica import check, clean, fill, review
from replica.context import Replicas
from storage_nodes.record.manifest import JSON

_log = structlog.get_logger(__name__)

_ACCOUNTS_SECONDS = 1.0
_USED_SECONDS = 5.0
_EVICT_SECONDS = 5.0
_PROBE_SECONDS = 10.0
_FILL_SECONDS = 2.0
_CHECK_SECONDS = 5.0
_CLEAN_SECONDS = 60.0
_REVIEW_SECONDS = 300.0
_LEFTOVERS_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only the worker has."""

    site: SiteSecrets
    keys: KeyStore


def publishing(
    configuration: Configuration, files: SegmentFiles, secrets: Secrets, replicas: Replicas, threads: int
) -> list[Chore]:
    """Return the chores that plan and publish; each publishing thread has a de-identifier of its own."""
    gateway = configuration.gateway
    profile, rules = deid_profile(configuration), pixel_rules(configuration)
    pace = Pace(configuration.publish.part_bytes, configuration.publish.lease_seconds * 1000)
    index = CacheIndex(files, gateway.name)
    about: dict[str, JSON] = {
        "profile": configuration.deid.profile,
        "options": [*sorted(configuration.deid.options)],
        "edition": profile.edition,
    }

    def publisher() -> Publisher:
        packer = Packer(Deidentifier(profile, secrets.site, gateway.facility, rules), about)
        owner = Owner(gateway.name, f"{gateway.name}/{os.getpid()}/{uuid.uuid4().hex[:8]}")
        means = Means(replicas.engine, index, packer, secrets.keys, replicas, now_ms)
        return Publisher(means, owner, pace)

    planner = publisher()
    seconds = configuration.publish.interval_seconds
    return [
        Chore("plan", seconds, lambda: planner.plan() > 0),
        *(Chore(f"publish-{number}", seconds, publisher().run_once) for number in range(threads)),
    ]


def tending(configuration: Configuration, log: ReceiveLog, replicas: Replicas) -> list[Chore]:
    """Return the chores that keep cache and nodes in order."""
    evictor = Evictor(log.files, replicas.engine, configuration.gateway.name, log.space)
    return [
        Chore("evict", _EVICT_SECONDS, _once(evictor.run_once)),
        Chore("probe", _PROBE_SECONDS, _once(replicas.fleet.probe)),
        Chore("fill", _FILL_SECONDS, lambda: fill.run_once(replicas) != fill.Filled()),
        Chore("check", _CHECK_SECONDS, lambda: check.run_once(replicas) != check.Checked()),
        Chore("clean", _CLEAN_SECONDS, _once(lambda: clean.run_once(replicas))),
        Chore("leftovers", _LEFTOVERS_SECONDS, _once(lambda: clean.clean_leftovers(replicas.fleet))),
        Chore("review", _REVIEW_SECONDS, _reviewing(replicas)),
    ]


def noting(engine: sa.Engine, accounts: Accounts, index: CacheIndex) -> list[Chore]:
    """Return the chores of a door: writing down what it counted, and which series were read."""

    def write_used() -> None:
        with engine.begin() as connection:
            index.write_used(connection)

    return [
        Chore("accounts", _ACCOUNTS_SECONDS, _once(accounts.write)),
        Chore("used", _USED_SECONDS, _once(write_used)),
    ]


def _reviewing(replicas: Replicas) -> Callable[[], bool]:
    """Go through the whole index in steps, and begin anew at the end."""
    next_id = 0

    def run_once() -> bool:
        nonlocal next_id
        next_id = review.run_once(replicas, next_id).next_id
        return next_id > 0

    return run_once


def _once(step: Callable[[], object]) -> Callable[[], bool]:
    """A step that has nothing more to do until its next turn."""

    def run_once() -> bool:
        step()
        return False

    return run_once
