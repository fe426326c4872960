"""Wiring only: what the DICOM door is made of, and in which order it starts and stops."""

import ssl

import structlog

from catalog.contributors import PublisherGrant
from dgis import supervisor
from dgis.accounting import Accounts
from dgis.cache.indexer import Indexer
from dgis.chores.doing import doing
from dgis.chores.door import holding, measuring, noting, retiring
from dgis.chores.figures import counting
from dgis.commitment.desk import Desk
from dgis.commitment.opening import known_destinations
from dgis.configuration import Configuration
from dgis.dimse.limits import Limits
from dgis.dimse.server import DicomServer
from dgis.door import Behind, Door
from dgis.identity.authenticate import Authenticator
from dgis.identity.tls import Clients, TlsError, server_context
from dgis.ingest import ingester
from dgis.jobs.prefetching import Bringing
from dgis.jobs.runner import Means as JobMeans
from dgis.jobs.runner import Runner
from dgis.keyholder.client import KeyholderClient
from dgis.memory import forget_what_stays, give_back_what_is_freed
from dgis.parts import StartError, cache_owner, keyholder_socket, now_ms, open_receive_log
from dgis.retention.allowance import Allowance
from dgis.roles.serving import serving
from dgis.roles.starting import started_database, trust, until_stopped
from dgis.trail.recorder import Recorder
from dgis.trail.starting import stopped
from dgis.watch.figures import ASSOCIATIONS
from dgis.watch.host import CacheFigures
from dgis.watch.nodes import NodeHealth
from dgis.watch.own import own_figures
from dgis.worker import Worker

_log = structlog.get_logger(__name__)
_DOOR = "dicom"
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
    authenticator = Authenticator(trust(configuration), engine, now_ms)
    allowance = Allowance(reading, configuration.gateway.facility, configuration.quotas)
    writer = f"{name}/{_DOOR}"
    sending = serving(configuration, engine, log.files, keyholder, writer)
    recorder = Recorder(engine, writer, now_ms)
    lease_seconds = configuration.publish.lease_seconds
    desk = Desk(engine, name, writer, now_ms, lease_seconds * 1000)
    behind = Behind(
        sending.releases,
        recorder,
        log,
        sending.retriever,
        sending.transcoder,
        accounts,
        authenticator,
        now_ms,
        desk,
        allowance,
    )
    runner = Runner(
        JobMeans(
            engine,
            name,
            configuration.dicom.ae_title,
            writer,
            sending.releases,
            sending.retriever,
            sending.transcoder,
            known_destinations(configuration),
            now_ms,
            lease_seconds * 1000,
            _limits(configuration),
            Bringing(sending.shelf, sending.index),
        )
    )
    server = DicomServer(Door(configuration, behind), _limits(configuration))
    addresses = _listen(server, configuration)
    ASSOCIATIONS.set_function(lambda: server.counts()[1])
    caching = CacheFigures(log.space.used_bytes, log.backlog.unindexed_segments)
    figures = own_figures(home, _DOOR, [caching, NodeHealth(sending.fleet)])
    notes = Worker(
        [
            *noting(engine, accounts, recorder, sending.index),
            *retiring(engine, log, name),
            *counting(figures),
            *measuring(allowance),
            holding(desk, lease_seconds),
            *doing(runner, engine),
        ]
    )
    forget_what_stays()
    indexer.start()
    notes.start()
    supervisor.say_ready(ready, addresses, home / "run", _DOOR)
    _log.info("door_open", **addresses)
    until_stopped(supervised=ready is not None)
    runner.stop()
    server.stop(_DRAIN_SECONDS)
    log.close()
    indexer.stop()
    notes.stop()
    figures.remove()
    accounts.write()
    recorder.write()
    stopped(engine, configuration, _DOOR, now_ms())
    engine.dispose()


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
