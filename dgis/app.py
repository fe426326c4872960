"""Wiring only: which parts a role is made of, in which order they start and stop."""

import os
import ssl

import sqlalchemy as sa
import structlog

from catalog import extract
from catalog.audit import trail
from catalog.audit.values import Event, Happening
from catalog.contributors import PublisherGrant
from catalog.release import Releases
from deid.keys.store import KeyStore
from deid.pseudonyms import Pseudonyms, SiteSecrets
from dgis import fleet, supervisor
from dgis.accounting import Accounts
from dgis.cache.index import CacheIndex
from dgis.cache.indexer import Indexer
from dgis.chores import (
    Secrets,
    auditing,
    committing,
    counting,
    erasing,
    holding,
    measuring,
    noting,
    publishing,
    retaining,
    retiring,
    standing_in,
    tending,
)
from dgis.commitment.desk import Desk
from dgis.configuration import Configuration
from dgis.dimse.limits import Limits
from dgis.dimse.server import DicomServer
from dgis.door import Behind, Door
from dgis.erasure.eraser import Means
from dgis.identity.authenticate import Authenticator
from dgis.identity.login import Counter
from dgis.identity.tls import Clients, TlsError, server_context
from dgis.ingest import ingester
from dgis.keyholder.client import KeyholderClient
from dgis.keyholder.pseudonyms import pseudonymiser
from dgis.keyholder.registry import Registry
from dgis.keyholder.restore import Restorer
from dgis.keyholder.server import KeyholderServer
from dgis.memory import give_back_what_is_freed
from dgis.parts import (
    StartError,
    cache_owner,
    first_start_makes_keys,
    key_store_answers,
    keyholder_socket,
    now_ms,
    open_audit_key,
    open_authority,
    open_keys,
    open_receive_log,
    scratch,
)
from dgis.repository.opening import open_sender
from dgis.retention.allowance import Allowance
from dgis.retriever.records import Shelf
from dgis.retriever.retriever import Retriever
from dgis.roles import started_database, trust, until_stopped
from dgis.trail.recorder import Recorder
from dgis.trail.starting import stopped
from dgis.transcode.transcoder import GatewayTranscoder
from dgis.watch.figures import ASSOCIATIONS
from dgis.watch.host import CacheFigures, KeyStoreFigures
from dgis.watch.nodes import NodeHealth
from dgis.watch.own import own_figures
from dgis.worker import Worker
from replica.context import Replicas
from replica.source import Reporter
from replica.standing import admit_first

_log = structlog.get_logger(__name__)

_DOOR, _WORKER = "dicom", "worker"
_LAST_SECONDS = 1.5  # to tell the repository of the stop; what does not go waits for the next start
_DRAIN_SECONDS = 7.0  # of the supervisor's ten: what is running may end, then the rest is cut


def run_door(configuration: Configuration, ready: int | None) -> None:
    """Run the DICOM door until SIGTERM: it receives, answers queries and sends, and holds no key.

    Raises:
        StartError: the port, the home or the database cannot be had.
    """
    give_back_what_is_freed()
    home, name = configuration.gateway.home, configuration.gateway.name
    engine = started_database(configuration, _DOOR)
    reading = engine.execution_options(read_only=True)
    log = open_receive_log(configuration)
    keyholder = KeyholderClient(keyholder_socket(configuration))
    grant = PublisherGrant(fields=configuration.publish.grant_by)
    ingest = ingester(configuration.gateway.facility, keyholder.pseudonyms, grant)
    indexer = Indexer(log, engine, ingest, cache_owner(configuration))
    accounts = Accounts(engine, name)
    own_fleet = fleet.open_fleet(configuration)
    shelf = Shelf(reading, own_fleet, Reporter(engine, now_ms))
    index = CacheIndex(log.files, name)
    retriever = Retriever(reading, index, shelf, keyholder, now_ms)
    transcoder = GatewayTranscoder(folder=scratch(configuration))
    authenticator = Authenticator(trust(configuration), engine, now_ms)
    allowance = Allowance(reading, configuration.gateway.facility, configuration.quotas)
    writer = f"{name}/{_DOOR}"
    recorder = Recorder(engine, writer, now_ms)
    lease_seconds = configuration.publish.lease_seconds
    desk = Desk(engine, name, writer, now_ms, lease_seconds * 1000)
    behind = Behind(
        Releases(engine, writer, now_ms),
        recorder,
        log,
        retriever,
        transcoder,
        accounts,
        authenticator,
        now_ms,
        desk,
        allowance,
    )
    server = DicomServer(Door(configuration, behind), _limits(configuration))
    addresses = _listen(server, configuration)
    ASSOCIATIONS.set_function(lambda: server.counts()[1])
    caching = CacheFigures(log.space.used_bytes, log.backlog.unindexed_segments)
    figures = own_figures(home, _DOOR, [caching, NodeHealth(own_fleet)])
    notes = Worker(
        [
            *noting(engine, accounts, recorder, index),
            *retiring(engine, log, name),
            *counting(figures),
            *measuring(allowance),
            holding(desk, lease_seconds),
        ]
    )
    indexer.start()
    notes.start()
    supervisor.say_ready(ready, addresses, home / "run", _DOOR)
    _log.info("door_open", **addresses)
    until_stopped(supervised=ready is not None)
    server.stop(_DRAIN_SECONDS)
    log.close()
    indexer.stop()
    notes.stop()
    figures.remove()
    accounts.write()
    recorder.write()
    stopped(engine, configuration, _DOOR, now_ms())
    engine.dispose()


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
    shelf = Shelf(reading, own_fleet, Reporter(engine, now_ms))
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
            *auditing(engine, own_fleet, audit_key, sender),
            *counting(figures),
        ]
    )
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


def _limits(configuration: Configuration) -> Limits:
    dicom = configuration.dicom
    return Limits(
        max_pdu_bytes=dicom.max_pdu_bytes,
        idle_seconds=dicom.idle_seconds,
        minimum_bytes_per_second=dicom.minimum_bytes_per_second,
        max_associations=dicom.max_associations,
        most_references=configuration.commitment.most_instances,
    )


def _listen(server: DicomServer, configuration: Configuration) -> dict[str, str]:
    """Open the plain port and, where it is configured, that for TLS; return where they are."""
    dicom = configuration.dicom
    addresses = {"dicom": _listen_on(server, dicom.host, dicom.port, "port", None)}
    if dicom.tls_port is not None:
        assert dicom.tls_certificate is not None, "the configuration asks for it"
        assert dicom.tls_key is not None, "likewise"
        must = dicom.tls_client_certificate == "required"
        clients = None if dicom.tls_client_ca is None else Clients(dicom.tls_client_ca, dicom.tls_crl, must)
        try:
            tls = server_context(dicom.tls_certificate, dicom.tls_key, clients)
        except TlsError as error:
            raise StartError(f"dicom: {error}") from None
        addresses["dicom_tls"] = _listen_on(server, dicom.host, dicom.tls_port, "tls_port", tls)
    return addresses


def _listen_on(server: DicomServer, host: str, port: int, setting: str, tls: ssl.SSLContext | None) -> str:
    try:
        return f"{host}:{server.listen(host, port, tls)}"
    except OSError as error:
        raise StartError(
            f"cannot listen on {host}:{port}: {error.strerror}; is another gateway running? (dicom.{setting})"
        ) from None
