"""Service tickets through the GSS-API (RFC 4121): the extra `kerberos`, over the system's MIT Kerberos."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import structlog

from catalog.credentials.kerberos import Accepted, Acceptor
from catalog.credentials.values import Reason, Rejected

_log = structlog.get_logger(__name__)

_LIBRARY = "gssapi"
_BARE_REQUEST = 0x6E  # KRB_AP_REQ, APPLICATION 14 (RFC 4120 5.5.1)
_TOKEN = 0x60  # RFC 2743 3.1
_MECHANISM = bytes.fromhex("06092a864886f712010202")  # 1.2.840.113554.1.2.2 in DER
_REQUEST, _RESPONSE = b"\1\0", b"\2\0"  # RFC 4121 4.1, TOK_ID
_SHORT_LENGTH = 0x80  # X.690 8.1.3: below it, a length is one byte

_FIRST_ERROR = 2_529_638_912  # ERROR_TABLE_BASE_krb5, as the GSS-API has minor codes: unsigned
_REASONS = {  # RFC 4120 7.5.9, and keytab errors of MIT
    31: Reason.SIGNATURE,  # integrity check on a decrypted field
    32: Reason.EXPIRED,
    33: Reason.NOT_YET,
    34: Reason.REPLAYED,
    35: Reason.AUDIENCE,  # the ticket is not for us
    37: Reason.EXPIRED,  # clock skew: made more than five minutes before now, or after
    41: Reason.SIGNATURE,  # modified
    44: Reason.AUDIENCE,  # version of the key not there
    45: Reason.AUDIENCE,  # key not there
    181: Reason.KEYS_AWAY,  # no keytab
}


def acceptor(keytab: Path | None, replays: Path) -> Acceptor | None:
    """Return what opens tickets for the principals of a keytab; None without a keytab or the library.

    Args:
        keytab: of this service alone: a ticket for any principal in it is taken.
        replays: file of what was accepted lately, digests alone.
    """
    if keytab is None or not library_is_there():
        return None
    return _Keytab(importlib.import_module(_LIBRARY), keytab, replays)


def library_is_there() -> bool:
    """Whether the optional library is installed."""
    return importlib.util.find_spec(_LIBRARY) is not None


class _Keytab:
    """Opens tickets with the keys in a file, which is read each time: keys are changed while we run."""

    def __init__(self, gssapi: ModuleType, keytab: Path, replays: Path) -> None:
        self._gssapi = gssapi
        self._store = {"keytab": f"FILE:{keytab}", "rcache": f"file2:{replays}"}

    def accept(self, ticket: bytes) -> Accepted | Rejected:
        """Open a ticket; what it says is not believed further than its realm is."""
        bare = ticket[:1] == bytes((_BARE_REQUEST,))
        try:
            credentials = self._gssapi.Credentials(usage="accept", store=self._store)
            context = self._gssapi.SecurityContext(creds=credentials, usage="accept")
            response = context.step(_framed(ticket) if bare else ticket) or b""
            if not context.complete:
                return Rejected(Reason.MALFORMED)  # a mechanism of several steps
            principal, seconds = str(context.initiator_name), int(context.lifetime)
        except self._gssapi.exceptions.MissingCredentialsError:
            _log.warning("keytab_unreadable")
            return Rejected(Reason.KEYS_AWAY)
        except self._gssapi.exceptions.GSSError as error:
            return Rejected(_REASONS.get(error.min_code - _FIRST_ERROR, Reason.MALFORMED))
        return Accepted(principal, seconds, _bare(response) if bare else response)


def _framed(request: bytes) -> bytes:
    """Return an AP-REQ as the GSS-API frames it; DICOM carries it bare (PS3.7 D.3.3.7)."""
    inner = _MECHANISM + _REQUEST + request
    size = len(inner)
    if size < _SHORT_LENGTH:
        return bytes((_TOKEN, size)) + inner
    written = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((_TOKEN, _SHORT_LENGTH | len(written))) + written + inner


def _bare(response: bytes) -> bytes:
    """Return the AP-REP in a token of the GSS-API, as bare as the request was."""
    return response.partition(_MECHANISM + _RESPONSE)[2]
