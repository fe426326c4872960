"""Wiring only: which parts a role is made of, in which order they start and stop."""

import os
import signal
import threading
from pathlib import Path

import sqlalchemy as sa
import structlog

from catalog.contributors import PublisherGrant
from deid.pseudonyms import Pseudonyms
from dgis import fleet, supervisor
from dgis.accounting import Accounts
from dgis.cache.index import CacheIndex
from dgis.cache.indexer import Indexer
from dgis.chores import Secrets, noting, publishing, tending
from dgis.configuration import Configuration
from dgis.dimse.limits import Limits
from dgis.dimse.server import DicomServer
from dgis.door import Behind, Door
from dgis.grants import apply_standing_grants
from dgis.ingest import ingester
from dgis.keyholder.client import KeyholderClient
from dgis.keyholder.pseudonyms import pseudonymiser
from dgis.keyholder.restore import Restorer
from dgis.keyholder.server import KeyholderServer
from dgis.parts import (
    StartError,
    cache_owner,
    keyholder_socket,
    now_ms,
    open_database,
    open_keys,
    open_receive_log,
)
from dgis.retriever.records import Shelf
from dgis.retriever.retriever import Retriever
from dgis.transcode.transcoder import GatewayTranscoder
from dgis.worker import Worker
from replica.context import Replicas
from replica.source import Reporter

_log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
_DRAIN_SECONDS = 7.0  # of the supervisor's ten: what is running may end, then the rest is cut


def run_door(configuration: Configuration, ready: int | None) -> None:
    """Run the DICOM door until SIGTERM: it receives, answers queries and sends, and holds no key.

    Raises:
        StartError: the port, the home or the database cannot be had.
    """
    home, name = configuration.gateway.home, configuration.gateway.name
    engine = _database(configuration)
    reading = engine.execution_options(read_only=True)
    log = open_receive_log(configuration)
    keyholder = KeyholderClient(keyholder_socket(configuration))
    grant = PublisherGrant(fields=configuration.publish.grant_by)
    ingest = ingester(configuration.gateway.facility, keyholder.pseudonyms, grant)
    indexer = Indexer(log, engine, ingest, cache_owner(configuration))
    accounts = Accounts(engine, name)
    shelf = Shelf(reading, fleet.open_fleet(configuration), Reporter(engine, now_ms))
    index = CacheIndex(log.files, name)
    retriever = Retriever(reading, index, shelf, keyholder, now_ms)
    behind = Behind(reading, log, retriever, GatewayTranscoder(folder=_scratch(home)), accounts, now_ms)
    server = DicomServer(Door(configuration, behind), _limits(configuration))
    address = _listen(server, configuration)
    notes = Worker(noting(engine, accounts, index))
    indexer.start()
    notes.start()
    supervisor.say_ready(ready, {"dicom": address}, home / "run", "dicom")
    _log.info("door_open", address=address)
    _until_stopped(supervised=ready is not None)
    server.stop(_DRAIN_SECONDS)
    log.close()
    indexer.stop()
    notes.stop()
    accounts.write()
    engine.dispose()


def run_worker(configuration: Configuration, ready: int | None) -> None:
    """Run the worker until SIGTERM: it alone reads the site secret and the key store.

    Raises:
        StartError: keys, nodes, home or database cannot be had.
    """
    engine = _database(configuration)
    secrets, keys = open_keys(configuration)
    fleet.prepare_new_nodes(configuration)
    own_fleet = fleet.open_fleet(configuration)
    replicas = Replicas(engine, own_fleet, fleet.rules(configuration))
    reading = engine.execution_options(read_only=True)
    shelf = Shelf(reading, own_fleet, Reporter(engine, now_ms))
    threads = configuration.publish.workers or os.cpu_count() or 1
    server = KeyholderServer(
        keyholder_socket(configuration),
        Restorer(shelf, keys, threads),
        pseudonymiser(Pseudonyms(secrets, configuration.gateway.facility)),
    )
    log = open_receive_log(configuration)
    worker = Worker(
        [
            *publishing(configuration, log.files, Secrets(secrets, keys), replicas, threads),
            *tending(configuration, log, replicas),
        ]
    )
    server.start()
    worker.start()
    supervisor.say_ready(ready, {}, configuration.gateway.home / "run", "worker")
    _log.info("worker_runs", threads=threads)
    _until_stopped(supervised=ready is not None)
    worker.stop()
    server.stop()
    engine.dispose()


def _database(configuration: Configuration) -> sa.Engine:
    engine = open_database(configuration)
    with engine.begin() as connection:
        apply_standing_grants(connection, configuration, now_ms())
    return engine


def _scratch(home: Path) -> Path:
    """Where decoded frames wait in nameless files; beside the cache, for they are of the same images."""
    scratch = home / "scratch"
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    return scratch


def _limits(configuration: Configuration) -> Limits:
    dicom = configuration.dicom
    return Limits(
        max_pdu_bytes=dicom.max_pdu_bytes,
        idle_seconds=dicom.idle_seconds,
        minimum_bytes_per_second=dicom.minimum_bytes_per_second,
        max_associations=dicom.max_associations,
    )


def _listen(server: DicomServer, configuration: Configuration) -> str:
    host, port = configuration.dicom.host, configuration.dicom.port
    try:
        return f"{host}:{server.listen(host, port)}"
    except OSError as error:
        raise StartError(
            f"cannot listen on {host}:{port}: {error.strerror}; is another gateway running? (dicom.port)"
        ) from None


def _until_stopped(*, supervised: bool) -> None:
    stopped = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopped.set())
    supervisor_pid = os.getppid()
    while not stopped.wait(_LOOK_SECONDS):
        # Whoever starts the gateway again must find the port free, and nobody would restart this process.
        if supervised and os.getppid() != supervisor_pid:
            _log.error("supervisor_gone")
            return
