"""What an HTTP request presents: the Authorization field (RFC 9110 11.6.2) as a credential to be judged."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from catalog.credentials.values import Kind, Reason, Rejected, Verified
from dgis.dimse.proposal import UserIdentity

PASSCODE, KERBEROS, SAML, JWT = 2, 3, 4, 5  # PS3.7 D.3.3.7: one numbering for both doors
_SCHEMES = {b"bearer": JWT, b"basic": PASSCODE, b"negotiate": KERBEROS}


@dataclass(frozen=True, slots=True)
class Session:
    """What the session of a browser has proven: as what kind of credential it began, and who that is.

    `mark` tells sessions apart and is no secret.
    """

    kind: Kind
    proof: Verified
    mark: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Presented:
    """What came with a request, all of it the client's own word but address and certificate.

    `certificate` is DER, verified by TLS; `encrypted`: nobody between could read it; `recipient` is where a
    SAML response was posted to, as the outside calls it. `session` is heeded where there is no `identity`.
    """

    address: str
    identity: UserIdentity | None = None
    certificate: bytes | None = field(default=None, repr=False)
    encrypted: bool = False
    recipient: str | None = None
    session: Session | None = None


def identity_of(fields: Sequence[bytes]) -> UserIdentity | Rejected | None:
    """Return what the Authorization fields of a request present; None where there is none.

    Args:
        fields: the values, one for each field of that name; more than one says nothing certain.
    """
    if not fields:
        return None
    scheme, _, rest = fields[0].strip().partition(b" ")
    kind = _SCHEMES.get(scheme.lower())
    if len(fields) > 1:
        return Rejected(Reason.MALFORMED)
    if kind is None:
        return Rejected(Reason.UNSUPPORTED)
    if kind is JWT:
        return UserIdentity(kind, rest.strip())
    try:
        decoded = base64.b64decode(rest.strip(), validate=True)
    except ValueError:
        return Rejected(Reason.MALFORMED)
    if kind is KERBEROS:  # RFC 4559 4.2
        return UserIdentity(kind, decoded)
    name, colon, passcode = decoded.partition(b":")
    return UserIdentity(kind, name, passcode) if colon else Rejected(Reason.MALFORMED)
