"""Chores of the worker around publishing: plan, publish, live, and stand in for gateways that do not."""

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from deid.engine import Deidentifier
from deid.keys.store import KeyStore
from deid.pseudonyms import SiteSecrets
from deid.science.check import ScienceCheck
from dgis.availability import queue as availability
from dgis.availability.opening import listeners
from dgis.cache.files import SegmentFiles
from dgis.cache.index import CacheIndex
from dgis.chores.merging import merge_rule
from dgis.configuration import Configuration
from dgis.decoding import SpooledDecoder
from dgis.gateways import say_alive, silent
from dgis.keyholder.server import Restore
from dgis.merger import queue as merging
from dgis.parts import deid_profile, now_ms, pixel_rules, scratch
from dgis.publisher.about import Contributions
from dgis.publisher.pack import Packer
from dgis.publisher.publisher import Means as PublishMeans
from dgis.publisher.publisher import Pace, Publisher
from dgis.publisher.takeover import take_over
from dgis.publisher.values import Owner
from dgis.transactions import WORKER, again
from dgis.transcode.transcoder import GatewayTranscoder
from dgis.worker import Chore, once
from replica.context import Replicas
from storage_nodes.record.manifest import JSON

_ALIVE_SECONDS = 10.0
_TAKE_OVER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only the worker has."""

    site: SiteSecrets
    keys: KeyStore
    restore: Restore


def publishing(
    configuration: Configuration, files: SegmentFiles, secrets: Secrets, replicas: Replicas, threads: int
) -> list[Chore]:
    """Return the chores that plan and publish; each publishing thread has a de-identifier of its own."""
    gateway = configuration.gateway
    profile, rules = deid_profile(configuration), pixel_rules(configuration)
    pace = Pace(configuration.publish.part_bytes, configuration.publish.lease_seconds * 1000)
    index = CacheIndex(files, gateway.name)
    folder = scratch(configuration)
    decode = SpooledDecoder(GatewayTranscoder(folder=folder), folder)
    about: dict[str, JSON] = {
        "profile": configuration.deid.profile,
        "options": [*sorted(configuration.deid.options)],
        "edition": profile.edition,
    }

    titles, rule = sorted(listeners(configuration)), merge_rule(configuration)

    def announce(connection: sa.Connection, phi_series_id: int, at_ms: int) -> None:
        availability.announce(connection, gateway.name, titles, phi_series_id, at_ms)
        merging.consider(connection, phi_series_id, rule, at_ms)

    def deidentifier() -> Deidentifier:
        return Deidentifier(profile, secrets.site, gateway.facility, rules, decode)

    def publisher(own: Deidentifier, science: ScienceCheck) -> Publisher:
        packer = Packer(own, science, about, contributions=Contributions(secrets.site))
        owner = Owner(gateway.name, f"{gateway.name}/{os.getpid()}/{uuid.uuid4().hex[:8]}")
        engine = replicas.engine
        means = PublishMeans(
            engine,
            index,
            packer,
            secrets.keys,
            replicas,
            now_ms,
            secrets.restore,
            folder,
            gateway.facility,
            announce,
        )
        return Publisher(means, owner, pace)

    def publish() -> Callable[[], bool]:
        own, science = deidentifier(), ScienceCheck(profile)
        run_once = publisher(own, science).run_once

        def run_and_forget() -> bool:
            more = run_once()
            if not more:
                own.forget()  # nobody's values stay in memory longer than there is work
                science.forget()
            return more

        return run_and_forget

    planner = publisher(deidentifier(), ScienceCheck(profile))
    seconds = configuration.publish.interval_seconds
    return [
        Chore("plan", seconds, lambda: planner.plan() > 0),
        *(Chore(f"publish-{number}", seconds, publish()) for number in range(threads)),
    ]


def standing_in(configuration: Configuration, engine: sa.Engine) -> list[Chore]:
    """Return the chores that say this gateway lives, and take over the work of those that do not."""
    own, started_ms = configuration.gateway, now_ms()
    away_ms = own.away_after_seconds * 1000

    def speak() -> None:
        with engine.begin() as connection:
            say_alive(connection, own.name, started_ms, now_ms())

    def take() -> bool:
        with engine.begin() as connection:
            return (
                take_over(connection, own.name, silent(connection, own.name, now_ms() - away_ms), now_ms())
                > 0
            )

    return [
        Chore("alive", min(_ALIVE_SECONDS, own.away_after_seconds / 5), once(speak)),
        Chore("take-over", min(_TAKE_OVER_SECONDS, own.away_after_seconds / 2), lambda: again(take, WORKER)),
    ]
