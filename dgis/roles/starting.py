"""What every role does alike: the database at its start, whom it trusts, and waiting for its end."""

import os
import signal
import threading

import sqlalchemy as sa
import structlog

from dgis.configuration import Configuration
from dgis.identity.authenticate import Trust
from dgis.identity.issuers import IssuerError, trusted
from dgis.identity.kerberos import acceptor
from dgis.parts import StartError, now_ms, open_database
from dgis.trail.starting import started

_log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0


def started_database(configuration: Configuration, role: str) -> sa.Engine:
    """Open the database, its schema up to date, and record in it that a role starts and with which settings.

    Raises:
        StartError: it does not answer, or is no database of a gateway.
    """
    engine = open_database(configuration, role)
    with engine.begin() as connection:
        started(connection, configuration, role, now_ms())
    return engine


def trust(configuration: Configuration) -> Trust:
    """Return whom the configuration trusts about callers.

    Raises:
        StartError: an issuer cannot be used.
    """
    identity = configuration.identity
    try:
        issuers = trusted(identity, configuration.keys.grid_jwks_file)
    except IssuerError as error:
        raise StartError(str(error)) from None
    return Trust(
        configuration.dicom.peers,
        issuers,
        configuration.gateway.name,
        identity.grid,
        identity.passcodes_without_tls,
        acceptor(identity.keytab_file, configuration.gateway.home / "run" / "tickets-seen"),
        frozenset((*identity.recipients, *filter(None, [configuration.web.acs_url]))),
    )


def until_stopped(*, supervised: bool) -> None:
    """Return at SIGTERM or SIGINT, and when a supervisor that was there is gone."""
    stopped = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopped.set())
    supervisor_pid = os.getppid()
    while not stopped.wait(_LOOK_SECONDS):
        # Whoever starts the gateway again must find the port free, and nobody would restart this process.
        if supervised and os.getppid() != supervisor_pid:
            _log.error("supervisor_gone")
            return
