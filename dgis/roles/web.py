"""Wiring only: what the web door is made of, and in which order it starts and stops."""

import ssl
from collections.abc import Callable
from functools import partial

import sqlalchemy as sa
import structlog
from prometheus_client.registry import Collector

from catalog.audit.values import Event, Happening, Outcome
from dgis import supervisor
from dgis.chores.door import using
from dgis.configuration import Configuration
from dgis.identity.authenticate import Authenticator
from dgis.identity.tls import Clients, TlsError, server_context
from dgis.keyholder.client import KeyholderClient
from dgis.parts import StartError, keyholder_socket, now_ms
from dgis.portal import routes as portal
from dgis.roles.giving import Giving
from dgis.roles.interface import interface
from dgis.roles.receiving import Receiving
from dgis.roles.serving import serving
from dgis.roles.starting import started_database, trust, until_stopped
from dgis.sessions.desk import Recording
from dgis.sessions.opening import opened
from dgis.stow.routes import routes as routes_of_storing
from dgis.trail.recorder import Recorder
from dgis.trail.starting import stopped
from dgis.viewer import routes as viewer
from dgis.watch import files as figure_files
from dgis.watch.database import DatabaseFigures
from dgis.watch.figures import REGISTRY
from dgis.watch.host import HostFigures, Roles
from dgis.web import callers, credentials, health, metrics, tokens
from dgis.web.application import application
from dgis.web.bounds import Refused
from dgis.web.explaining import Explaining
from dgis.web.explaining import routes as routes_of_explaining
from dgis.web.limits import Limits
from dgis.web.logins import Logins
from dgis.web.probes import Texts, probes
from dgis.web.rates import Rates
from dgis.web.server import WebServer
from dgis.web.shares import Shares
from dgis.web.shares import routes as routes_of_shares
from dgis.web.tokens import Tokens
from dgis.worker import Chore, Worker, once

_log = structlog.get_logger(__name__)

_WEB = "web"
_RECORD_SECONDS = 1.0


def run_web(configuration: Configuration, ready: int | None) -> None:
    """Run the web door until SIGTERM: it answers over HTTP, and holds no key but that of its certificate.

    Raises:
        StartError: the port, the home, the database or the certificate cannot be had.
    """
    engine = started_database(configuration, _WEB)
    writer = f"{configuration.gateway.name}/{_WEB}"
    recorder = Recorder(engine, writer, now_ms)
    trusted = trust(configuration)
    rates = Rates.of(configuration.web.rates)
    site = opened(configuration, engine, trusted.issuers.tokens)
    logins = Logins(Authenticator(trusted, engine, now_ms), recorder, browsers=site.browsers, rates=rates)
    rehearsal = Authenticator(trusted, engine, now_ms, rehearsal=True)
    explaining = Explaining(configuration, engine, rehearsal, writer, now_ms)
    keyholder = KeyholderClient(keyholder_socket(configuration))
    figures = partial(figure_files.fresh, figure_files.folder_of(configuration.gateway.home))
    readiness = health.Readiness(probes(configuration, engine, keyholder.answers, figures))
    limits = Limits(store_bytes=configuration.web.store_bytes)
    receiving = Receiving(configuration, engine, keyholder, recorder)
    refused = refusals(recorder)
    sending = serving(configuration, engine, receiving.log.files, keyholder, writer)
    giving = Giving(configuration, engine, sending, recorder, logins)
    issuing = credentials.Issuing(keyholder, logins, now_ms, configuration.web.acs_url)
    routers = [
        health.routes(readiness),
        metrics.routes(_collectors(configuration, engine, keyholder.answers, figures)),
        callers.routes(logins),
        credentials.routes(issuing),
        tokens.routes(Tokens(engine, writer, now_ms), logins),
        routes_of_shares(Shares(engine, writer, now_ms), logins),
        *site.routes(logins, Recording(engine, writer, now_ms)),
        routes_of_explaining(explaining, logins),
        routes_of_storing(receiving.storing, logins, configuration.web.url),
        *giving.routes(),
        *interface(configuration, engine, receiving.log, recorder, logins),
        portal.routes(),
        viewer.routes(viewer.Shelf(configuration.gateway.home), logins),
    ]
    server = WebServer(
        application(routers, limits, refused, rates.addresses, configuration.web.origins),
        limits,
        lambda address: refused(address, "garbled"),
    )
    addresses = {"web": _listen(server, configuration)}
    record = Chore("trail", _RECORD_SECONDS, once(recorder.write))
    notes = Worker([record, using(engine, sending.index), *receiving.chores])
    receiving.start()
    notes.start()
    supervisor.say_ready(ready, addresses, configuration.gateway.home / "run", _WEB)
    _log.info("web_open", **addresses)
    until_stopped(supervised=ready is not None)
    server.stop()
    giving.close()
    receiving.stop()
    site.close()
    notes.stop()
    receiving.write()
    recorder.write()
    stopped(engine, configuration, _WEB, now_ms())
    engine.dispose()


def refusals(recorder: Recorder) -> Refused:
    """Return what records a refusal that nothing else does."""

    def refused(address: str, reason: str) -> None:
        detail = {"door": "http", "reason": reason}
        recorder.add(Happening(Event.REFUSAL, "", Outcome.MINOR_FAILURE, address, detail=dict(detail)))

    return refused


def _collectors(
    configuration: Configuration, engine: sa.Engine, worker_answers: Callable[[], bool], figures: Texts
) -> list[Collector]:
    roles = Roles(worker_answers, lambda: frozenset(role for role, _text in figures()))
    return [
        metrics.Processes(REGISTRY, figures),
        HostFigures(configuration, roles),
        DatabaseFigures(engine, configuration.gateway.name),
    ]


def _listen(server: WebServer, configuration: Configuration) -> str:
    web = configuration.web
    try:
        number = server.listen(web.host, web.port, _tls(configuration))
    except OSError as error:
        raise StartError(
            f"cannot listen on {web.host}:{web.port}: {error.strerror}; "
            "is another gateway running? (web.port)"
        ) from None
    scheme = "http" if web.tls_certificate is None else "https"
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"{scheme}://{host}:{number}"


def _tls(configuration: Configuration) -> ssl.SSLContext | None:
    web = configuration.web
    if web.tls_certificate is None or web.tls_key is None:
        return None
    must = web.tls_client_certificate == "required"
    clients = None if web.tls_client_ca is None else Clients(web.tls_client_ca, web.tls_crl, must)
    try:
        return server_context(web.tls_certificate, web.tls_key, clients)
    except TlsError as error:
        raise StartError(f"web: {error}") from None
