"""Wiring only: what the worker is made of, and in which order it starts and stops."""

import os

import sqlalchemy as sa
import structlog

from catalog import extract
from catalog.audit import trail
from catalog.audit.values import Event, Happening
from deid.keys.store import KeyStore
from deid.pseudonyms import Pseudonyms, SiteSecrets
from dgis import fleet, supervisor
from dgis.chores.figures import counting
from dgis.chores.keeping import erasing, retaining, tending
from dgis.chores.merging import merging
from dgis.chores.publishing import Secrets, publishing, standing_in
from dgis.chores.telling import auditing, committing
from dgis.configuration import Configuration
from dgis.erasure.eraser import Means
from dgis.identity.authenticate import Authenticator
from dgis.identity.login import Counter
from dgis.keyholder.pseudonyms import pseudonymiser
from dgis.keyholder.registry import Registry
from dgis.keyholder.restore import Restorer
from dgis.keyholder.server import KeyholderServer
from dgis.memory import forget_what_stays
from dgis.parts import (
    first_start_makes_keys,
    key_store_answers,
    keyholder_socket,
    near_copies,
    now_ms,
    open_audit_key,
    open_authority,
    open_keys,
    open_receive_log,
)
from dgis.repository.opening import open_sender
from dgis.retriever.records import Shelf
from dgis.roles.starting import started_database, trust, until_stopped
from dgis.trail.public import public_file, write_public
from dgis.trail.starting import stopped
from dgis.watch.host import KeyStoreFigures
from dgis.watch.nodes import NodeHealth
from dgis.watch.own import own_figures
from dgis.worker import Worker
from replica.context import Replicas
from replica.source import Reporter
from replica.standing import admit_first

_log = structlog.get_logger(__name__)
_WORKER = "worker"
_LAST_SECONDS = 1.5  # to tell the repository of the stop; what does not go waits for the next start


def run_worker(configuration: Configuration, ready: int | None) -> None:
    """Run the worker until SIGTERM: it alone reads the site secret and the key store.

    Raises:
        StartError: keys, nodes, home or database cannot be had.
    """
    engine = started_database(configuration, _WORKER)
    secrets, keys = _keys(configuration, engine)
    authority = open_authority(configuration)  # writes its public key down, for the doors
    writer = f"{configuration.gateway.name}/{_WORKER}"
    verifier = Authenticator(trust(configuration), engine, now_ms)
    registry = Registry(Counter(verifier, authority, engine, writer, now_ms))
    fleet.prepare_new_nodes(configuration)
    own_fleet = fleet.open_fleet(configuration)
    with engine.begin() as connection:
        admit_first(connection, fleet.served_until_now(configuration), now_ms())
    replicas = Replicas(engine, own_fleet, fleet.rules(configuration))
    reading = engine.execution_options(read_only=True)
    shelf = Shelf(reading, own_fleet, Reporter(engine, now_ms), near_copies(configuration))
    threads = configuration.publish.workers or os.cpu_count() or 1
    restorer = Restorer(shelf, keys, threads)
    pseudonyms = Pseudonyms(secrets, configuration.gateway.facility)
    names = pseudonymiser(pseudonyms)
    server = KeyholderServer(keyholder_socket(configuration), restorer, names, registry)
    log = open_receive_log(configuration)

    def forget() -> None:
        for each in (restorer, pseudonyms, extract):
            each.forget()

    audit_key = open_audit_key(configuration)
    write_public(public_file(configuration.gateway.home), audit_key.public_key())
    sender = open_sender(configuration, engine, audit_key.public_key())
    stores = KeyStoreFigures(configuration.keys.stores, key_store_answers)
    figures = own_figures(configuration.gateway.home, _WORKER, [NodeHealth(own_fleet), stores])
    erase = Means(engine, keys, names, log.files, configuration.gateway.name, now_ms, forget)
    worker = Worker(
        [
            *publishing(configuration, log.files, Secrets(secrets, keys, restorer), replicas, threads),
            *tending(configuration, log, replicas),
            *standing_in(configuration, engine),
            *erasing(erase),
            *committing(configuration, replicas, keys),
            *retaining(configuration, engine, log),
            *merging(configuration, replicas, shelf, secrets, keys),
            *auditing(engine, own_fleet, audit_key, sender),
            *counting(figures),
        ]
    )
    forget_what_stays()
    server.start()
    worker.start()
    supervisor.say_ready(ready, {}, configuration.gateway.home / "run", _WORKER)
    _log.info("worker_runs", threads=threads)
    until_stopped(supervised=ready is not None)
    worker.stop()
    figures.remove()
    server.stop()
    stopped(engine, configuration, _WORKER, now_ms())
    if sender is not None:
        sender.finish(_LAST_SECONDS)
    engine.dispose()


def _keys(configuration: Configuration, engine: sa.Engine) -> tuple[SiteSecrets, KeyStore]:
    new = first_start_makes_keys(configuration)
    opened = open_keys(configuration)
    if new:
        happening = Happening(Event.KEYS, "", detail={"what": "init", "by": "the first start"})
        with engine.begin() as connection:
            trail.append(connection, f"{configuration.gateway.name}/{_WORKER}", [happening], now_ms())
    return opened
