"""What the worker does now and then, as `run_once` steps over the parts."""

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from catalog import extract
from catalog.credentials.spent import forget_expired
from deid.engine import Deidentifier
from deid.keys.store import KeyStore
from deid.pseudonyms import SiteSecrets
from deid.science.check import ScienceCheck
from dgis.accounting import Accounts
from dgis.availability import queue as availability
from dgis.availability.notifier import Means as NotifyMeans
from dgis.availability.notifier import Notifier
from dgis.availability.opening import listeners
from dgis.cache.eviction import Evictor
from dgis.cache.files import SegmentFiles
from dgis.cache.index import CacheIndex
from dgis.cache.log import ReceiveLog
from dgis.cache.sql import reading
from dgis.caring import caring
from dgis.commitment import rows as commitments
from dgis.commitment.desk import Desk
from dgis.commitment.judge import Judge
from dgis.commitment.judge import Means as JudgeMeans
from dgis.commitment.opening import commitment_patience, known_destinations
from dgis.commitment.proof import Means as ProofMeans
from dgis.commitment.proof import Prover
from dgis.commitment.reporter import Means as ReportMeans
from dgis.commitment.reporter import Reporter as ReportSender
from dgis.configuration import Configuration
from dgis.decoding import SpooledDecoder
from dgis.departed.notes import Teller
from dgis.dimse.limits import Limits as DicomLimits
from dgis.erasure import intents, tombstones
from dgis.erasure.eraser import Eraser, Means
from dgis.gateways import say_alive, silent
from dgis.keyholder.server import Restore
from dgis.parts import deid_profile, now_ms, pixel_rules, scratch
from dgis.publisher.about import Contributions
from dgis.publisher.pack import Packer
from dgis.publisher.publisher import Means as PublishMeans
from dgis.publisher.publisher import Pace, Publisher
from dgis.publisher.takeover import take_over
from dgis.publisher.values import Owner
from dgis.repository.sender import Sender
from dgis.retention.allowance import Allowance
from dgis.retention.removal import Removing
from dgis.retention.retainer import Retainer
from dgis.trail.recorder import Recorder
from dgis.trail.sealing import TrailSealer
from dgis.transactions import WORKER, again
from dgis.transcode.transcoder import GatewayTranscoder
from dgis.watch.files import WRITE_SECONDS, FigureFile
from dgis.worker import Chore
from replica.context import Replicas
from replica.fleet import Fleet
from replica.source import Reporter
from storage_nodes.record.manifest import JSON

_log = structlog.get_logger(__name__)

_ACCOUNTS_SECONDS = 1.0
_USED_SECONDS = 5.0
_EVICT_SECONDS = 5.0
_ERASE_SECONDS = 1.0
_COMPARE_MS = 6 * 3_600_000  # between passes over all keys: copies that are missing are made good as well
_SEAL_SECONDS = 30.0
_TELL_SECONDS = 5.0
_RETAIN_SECONDS = 3600.0
_COUNT_SECONDS = 10.0
_FORGET_SECONDS = 600.0
_COMMIT_SECONDS = 1.0
_NOTIFY_SECONDS = 2.0
_FORGET_OVER_MS = 90 * 86_400_000  # a Transaction UID that is used again until then is refused
_FORGET_GIVEN_UP_MS = 30 * 86_400_000  # `dgis commitment retry` until then
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

    titles = sorted(listeners(configuration))

    def announce(connection: sa.Connection, phi_series_id: int, at_ms: int) -> None:
        availability.announce(connection, gateway.name, titles, phi_series_id, at_ms)

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
        Chore("alive", min(_ALIVE_SECONDS, own.away_after_seconds / 5), _once(speak)),
        Chore("take-over", min(_TAKE_OVER_SECONDS, own.away_after_seconds / 2), lambda: again(take, WORKER)),
    ]


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
    return [
        Chore("evict", _EVICT_SECONDS, _once(evictor.run_once)),
        *caring(configuration, replicas),
        Chore("tell-departed", _TELL_SECONDS, lambda: teller.run_once() > 0),
    ]


def retaining(configuration: Configuration, engine: sa.Engine, log: ReceiveLog) -> list[Chore]:
    """Return the chore that deletes what has been kept long enough, where the configuration says so."""
    gateway, retention = configuration.gateway.name, configuration.retention
    retainer = Retainer(engine, log.files, gateway, now_ms)
    by = Removing(retention.rules, f"{gateway}/worker", "retention") if retention.delete else None
    return [Chore("retain", _RETAIN_SECONDS, _once(lambda: retainer.run_once(by)))]


def measuring(allowance: Allowance) -> list[Chore]:
    """Return the chore of a door that counts what its facility has stored, where there is a quota."""
    return [Chore("quota", _COUNT_SECONDS, _once(allowance.count))] if allowance.limited else []


def noting(engine: sa.Engine, accounts: Accounts, recorder: Recorder, index: CacheIndex) -> list[Chore]:
    """Return the chores of a door that write down what it counted, recorded, and which series were read."""

    def write_used() -> None:
        with engine.begin() as connection:
            index.write_used(connection)

    return [
        Chore("accounts", _ACCOUNTS_SECONDS, _once(accounts.write)),
        Chore("trail", _ACCOUNTS_SECONDS, _once(recorder.write)),
        Chore("used", _USED_SECONDS, _once(write_used)),
    ]


def committing(configuration: Configuration, replicas: Replicas, keys: KeyStore) -> list[Chore]:
    """Return the chores that judge and report storage commitments, and tell of what can be retrieved."""
    engine, name = replicas.engine, configuration.gateway.name
    proof = ProofMeans(replicas, keys.get, Reporter(engine, now_ms))
    patience = commitment_patience(configuration)
    lease_ms = configuration.publish.lease_seconds * 1000
    judge = Judge(JudgeMeans(engine, Prover(proof), patience, now_ms, lease_ms))
    destinations = known_destinations(configuration)
    means = ReportMeans(
        engine, name, f"{name}/worker", destinations, patience, now_ms, lease_ms, DicomLimits()
    )

    notices = NotifyMeans(
        engine,
        configuration.dicom.ae_title,
        f"{name}/worker",
        listeners(configuration),
        patience.report_ms,
        now_ms,
        lease_ms,
        DicomLimits(),
    )

    def forget() -> None:
        with engine.begin() as connection:
            commitments.clear(connection, now_ms() - _FORGET_OVER_MS, now_ms() - _FORGET_GIVEN_UP_MS)
            availability.clear(connection, now_ms() - patience.report_ms - _FORGET_GIVEN_UP_MS)

    return [
        Chore("commit", _COMMIT_SECONDS, judge.run_once),
        Chore("commitment-reports", _COMMIT_SECONDS, ReportSender(means).run_once),
        Chore("availability", _NOTIFY_SECONDS, Notifier(notices).run_once),
        Chore("old-commitments", _FORGET_SECONDS, _once(forget)),
    ]


def holding(desk: Desk, lease_seconds: int) -> Chore:
    """Return the chore of a door that keeps what its associations wait for from others."""
    return Chore("hold", lease_seconds / 4, _once(desk.keep))


def retiring(engine: sa.Engine, log: ReceiveLog, gateway_id: str) -> list[Chore]:
    """Return the chore of a door that ends its segments for an erasure: old ones may be beneath them."""

    def retire() -> None:
        with reading(engine) as connection:
            until_ms = intents.retire_until_ms(connection, gateway_id)
        if until_ms is not None:
            log.retire(until_ms)
            extract.forget()

    return [Chore("retire", _ERASE_SECONDS, _once(retire))]


def auditing(engine: sa.Engine, fleet: Fleet, key: Ed25519PrivateKey, sender: Sender | None) -> list[Chore]:
    """Return the chores that keep the trail beyond doubt, send it, and forget credentials that expired."""
    sealer = TrailSealer(engine, fleet, key, now_ms)

    def forget() -> None:
        with engine.begin() as connection:
            forget_expired(connection, now_ms())

    sending = [] if sender is None else [Chore("send-trail", _ACCOUNTS_SECONDS, sender.run_once)]
    return [
        *sending,
        Chore("seal-trail", _SEAL_SECONDS, _once(sealer.run_once)),
        Chore("spent-credentials", _FORGET_SECONDS, _once(forget)),
    ]


def counting(file: FigureFile) -> list[Chore]:
    """Return the chore that writes down what this process counts of itself."""
    return [Chore("figures", WRITE_SECONDS, _once(file.write))]


def _once(step: Callable[[], object]) -> Callable[[], bool]:
    """A step that has nothing more to do until its next turn."""

    def run_once() -> bool:
        step()
        return False

    return run_once
