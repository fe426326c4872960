"""From the configuration to what sends the trail."""

import socket

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dgis.configuration import Configuration
from dgis.parts import now_ms
from dgis.repository import cursor
from dgis.repository.configuration import Address
from dgis.repository.line import Line, proof_of
from dgis.repository.message import Source
from dgis.repository.sender import Means, Sender
from dgis.repository.streams import Reader


def open_sender(configuration: Configuration, engine: sa.Engine, key: Ed25519PublicKey) -> Sender | None:
    """Return what sends the trail of this gateway, `key` being that of its signed heads; None: nowhere to."""
    address = configuration.audit.address
    gateway = configuration.gateway
    if address is None:
        with engine.begin() as connection:
            cursor.forget(connection, gateway.name)
        return None
    source = Source(socket.gethostname(), gateway.facility, configuration.dicom.ae_title)
    return Sender(
        Means(
            engine,
            gateway.name,
            str(address),
            Reader(source, key),
            lambda: connect(configuration, address),
            now_ms,
            configuration.audit.resend_seconds,
        )
    )


def connect(configuration: Configuration, address: Address) -> Line:
    """Open a line to the repository.

    Raises:
        LineError: it cannot be had; the text says why.
    """
    return Line(address, proof_of(configuration.audit))
