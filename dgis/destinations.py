"""From the configuration to a destination: where it is, who receives there, and how TLS is spoken to it."""

import ssl

from dgis.configuration import Destination as Entry
from dgis.configuration import Dicom
from dgis.dimse.requestor import TlsTo
from dgis.dimse.services import Destination
from dgis.identity.peers import identify_destination
from dgis.identity.tls import TlsError, client_context


def destination_of(dicom: Dicom, ae_title: str, issuer: str) -> Destination:
    """Return a destination that is configured, with its own clearance.

    Raises:
        KeyError: it is not.
    """
    where = dicom.destinations[ae_title]
    caller = identify_destination(dicom.peers, ae_title, where, issuer)
    tls = TlsTo(lambda: _opened(where), where.tls_name or where.host) if where.tls else None
    return Destination(ae_title, where.host, where.port, caller, tls)


def tls_to(where: Entry) -> ssl.SSLContext:
    """Return what TLS is spoken with to a destination, its files read now.

    Raises:
        TlsError: a file is missing or not what it should be.
    """
    own = (where.tls_certificate, where.tls_key)
    return client_context(where.tls_ca, None if own[0] is None or own[1] is None else (own[0], own[1]))


def _opened(where: Entry) -> ssl.SSLContext:
    try:
        return tls_to(where)
    except TlsError as error:  # it is as little to be reached as one that is away
        raise ConnectionError(str(error)) from error
