"""TLS, for the doors and to destinations: PS3.15 B.12 (BCP 195), 1.2 with ephemeral keys and 1.3."""

import ssl
from dataclasses import dataclass
from pathlib import Path

# RFC 9325 4.2: forward secrecy and authenticated encryption only.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsError(Exception):
    """Certificate, key or list of authorities cannot be used; the message names the setting."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Whose certificates clients bear (PEM), which of them are revoked, and whether there must be one."""

    authorities: Path
    revoked: Path | None = None
    must: bool = True


def server_context(certificate: Path, key: Path, clients: Clients | None) -> ssl.SSLContext:
    """Return what a door speaks TLS with; without `clients` nobody is asked for a certificate.

    A certificate is verified for its chain, its dates, its purpose (clientAuth) and, with a list of those
    revoked, against that; a list that has expired refuses everybody.

    Raises:
        TlsError: a file is missing or not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_CIPHERS)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"tls_certificate, tls_key: {_why(error)}") from None
    try:
        if clients is not None:
            context.load_verify_locations(clients.authorities)
            context.verify_mode = ssl.CERT_REQUIRED if clients.must else ssl.CERT_OPTIONAL
        if clients is not None and clients.revoked is not None:
            context.load_verify_locations(clients.revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"tls_client_ca, tls_crl: {_why(error)}") from None
    return context


def client_context(authorities: Path | None, own: tuple[Path, Path] | None) -> ssl.SSLContext:
    """Return what is spoken TLS with to a destination: its certificate is verified, chain, dates and name.

    Args:
        authorities: whom it is verified by (PEM); None: the system's.
        own: certificate and key that are shown where it asks for one.

    Raises:
        TlsError: a file is missing or not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(_CIPHERS)
    try:
        if authorities is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"tls_ca: {_why(error)}") from None
    try:
        if own is not None:
            context.load_cert_chain(*own)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"tls_certificate, tls_key: {_why(error)}") from None
    return context


def _why(error: OSError | ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not in PEM form, or certificate and key do not belong together"
    return error.strerror or type(error).__name__
