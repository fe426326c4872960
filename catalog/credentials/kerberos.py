"""Kerberos service tickets (RFC 4120): DICOM user identity type 3, Negotiate over HTTP."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from catalog.credentials.issuers import Issuer, vouched
from catalog.credentials.values import LONGEST_BYTES, Judgement, Reason, Rejected, Verified

PRINCIPAL = "principal"
"""The name under which the principal, without its realm, is stated."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A ticket that a key of ours opened, and who it is for (`user@REALM`).

    `seconds` is how long it lasts; `response` the AP-REP, where the client asked for one.
    """

    principal: str
    seconds: int
    response: bytes = field(default=b"", repr=False)


class Acceptor(Protocol):
    """Opens tickets with the keys of this service, each once."""

    def accept(self, ticket: bytes) -> Accepted | Rejected:
        """Open an AP-REQ (RFC 4120 5.5.1), bare or as a GSS-API token."""


@dataclass(frozen=True, slots=True)
class Realm:
    """A realm whose principals are believed; what a ticket cannot say of them is `stated` for all."""

    issuer: Issuer
    stated: Mapping[str, str] = field(default_factory=dict)


def verify_ticket(
    ticket: bytes, realms: Mapping[str, Realm], acceptor: Acceptor | None, now_s: int
) -> Judgement:
    """Judge a service ticket; its realm is compared letter by letter (RFC 4120 6.1).

    Args:
        ticket: as presented.
        realms: by name.
        acceptor: None where this gateway has no key, or no library, to open one with.
        now_s: epoch seconds.
    """
    if acceptor is None or not realms:
        return Rejected(Reason.UNSUPPORTED)
    if len(ticket) > LONGEST_BYTES:
        return Rejected(Reason.TOO_LONG)
    accepted = acceptor.accept(ticket)
    if isinstance(accepted, Rejected):
        return accepted
    principal, _, name = accepted.principal.rpartition("@")
    realm = realms.get(name)
    if realm is None:
        return Rejected(Reason.UNKNOWN_ISSUER)
    # The library keeps what this host has accepted; the database keeps it for all that share the key.
    once = hashlib.sha256(ticket).hexdigest()
    stated = {PRINCIPAL: [principal]} | {key: [value] for key, value in realm.stated.items()}
    judged = vouched(realm.issuer, stated, (now_s + accepted.seconds) * 1000, once)
    return replace(judged, response=accepted.response) if isinstance(judged, Verified) else judged
