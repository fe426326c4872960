"""Chores of the worker that tell others: storage commitments, availability, the audit trail."""

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from catalog.credentials import opaque, shares
from catalog.credentials.spent import forget_expired
from deid.keys.store import KeyStore
from dgis.availability import queue as availability
from dgis.availability.notifier import Means as NotifyMeans
from dgis.availability.notifier import Notifier
from dgis.availability.opening import listeners
from dgis.commitment import rows as commitments
from dgis.commitment.judge import Judge
from dgis.commitment.judge import Means as JudgeMeans
from dgis.commitment.opening import commitment_patience, known_destinations
from dgis.commitment.proof import Means as ProofMeans
from dgis.commitment.proof import Prover
from dgis.commitment.reporter import Means as ReportMeans
from dgis.commitment.reporter import Reporter as ReportSender
from dgis.configuration import Configuration
from dgis.dimse.limits import Limits as DicomLimits
from dgis.parts import now_ms
from dgis.repository.sender import Sender
from dgis.sessions import store
from dgis.trail.sealing import TrailSealer
from dgis.worker import Chore, once
from replica.context import Replicas
from replica.fleet import Fleet
from replica.source import Reporter

_ACCOUNTS_SECONDS = 1.0
_SEAL_SECONDS = 30.0
_FORGET_SECONDS = 600.0
_COMMIT_SECONDS = 1.0
_NOTIFY_SECONDS = 2.0
_FORGET_OVER_MS = 90 * 86_400_000  # a Transaction UID that is used again until then is refused
_FORGET_TOKEN_MS = 30 * 86_400_000  # an expired one is listed until then, and refused as such
_FORGET_GIVEN_UP_MS = 30 * 86_400_000  # `dgis commitment retry` until then


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
        Chore("old-commitments", _FORGET_SECONDS, once(forget)),
    ]


def auditing(engine: sa.Engine, fleet: Fleet, key: Ed25519PrivateKey, sender: Sender | None) -> list[Chore]:
    """Return the chores that keep the trail beyond doubt, send it, and forget credentials that are over."""
    sealer = TrailSealer(engine, fleet, key, now_ms)

    def forget() -> None:
        with engine.begin() as connection:
            forget_expired(connection, now_ms())
            opaque.forget_expired(connection, now_ms() - _FORGET_TOKEN_MS)
            shares.forget_expired(connection, now_ms() - _FORGET_TOKEN_MS)
            store.forget_over(connection, now_ms())

    sending = [] if sender is None else [Chore("send-trail", _ACCOUNTS_SECONDS, sender.run_once)]
    return [
        *sending,
        Chore("seal-trail", _SEAL_SECONDS, once(sealer.run_once)),
        Chore("spent-credentials", _FORGET_SECONDS, once(forget)),
    ]
