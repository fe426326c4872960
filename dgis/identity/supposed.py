"""Callers as an operator supposes them, for an explanation: none of them has called, none is admitted."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import sqlalchemy as sa

from catalog.callers import ALL_RIGHTS, PATTERN_FIELDS, Assertions, Caller
from catalog.credentials import accounts
from catalog.credentials.values import Rejected
from dgis.configuration import Configuration
from dgis.dimse.proposal import UserIdentity
from dgis.dimse.services import Attempt
from dgis.identity.authenticate import Authenticator, Stranger
from dgis.identity.peers import caller_of, identify_destination, matching_peer

_SAML, _JWT = 4, 5  # PS3.7 D.3.3.7


class NobodySuch(Exception):  # noqa: N818 (a refusal, in the words of this project)
    """Such a caller would not be admitted, or cannot be supposed; the text says why."""


@dataclass(frozen=True, slots=True)
class Presented:
    """What the supposed caller would present beside title and address; an account without its passcode."""

    token: bytes | None = field(default=None, repr=False)
    saml: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)  # DER
    account: str | None = None


def by_assertions(facts: Sequence[str]) -> Caller:
    """Return a caller without a ceiling who asserts `field=value` for each; a field may come again.

    Raises:
        NobodySuch: a text is none of that, or no grant can ask for such a field.
    """
    pairs = [(name.strip(), value) for name, found, value in (fact.partition("=") for fact in facts) if found]
    unknown = sorted({name for name, _value in pairs} - set(PATTERN_FIELDS))
    if unknown or len(pairs) != len(facts):
        raise NobodySuch(f"say field=value, the field one of {', '.join(PATTERN_FIELDS)}")
    return Caller("supposed", Assertions(extra=tuple(pairs)), ALL_RIGHTS)


def by_peer(
    configuration: Configuration,
    authenticator: Authenticator,
    engine: sa.Engine,
    peer: str,
    presented: Presented,
) -> Caller:
    """Return who would be admitted as `AE_TITLE@ADDRESS` with a credential; certificates are not verified.

    Raises:
        NobodySuch: nobody would.
    """
    title, _, address = peer.rpartition("@")
    if presented.account is not None:
        return _account(configuration, engine, title, address, presented.account)
    identity = None
    if presented.token is not None:
        identity = UserIdentity(_JWT, presented.token)
    elif presented.saml is not None:
        identity = UserIdentity(_SAML, presented.saml)
    called = configuration.dicom.ae_title
    attempt = Attempt(called, title, address, identity, presented.certificate, encrypted=True)
    judged = authenticator.authenticate(attempt)
    if isinstance(judged, Stranger):
        raise NobodySuch(f"not admitted: {judged.words}")
    if isinstance(judged, Rejected):
        raise NobodySuch(f"not admitted: {judged.reason.value}")
    return judged.caller


def receiver(configuration: Configuration, ae_title: str) -> Caller:
    """Return the caller that a C-MOVE destination is.

    Raises:
        NobodySuch: it is not configured.
    """
    where = configuration.dicom.destinations.get(ae_title)
    if where is None:
        raise NobodySuch("no such destination in [dicom.destinations]")
    return identify_destination(configuration.dicom.peers, ae_title, where, configuration.gateway.name)


def read(path: Path | None) -> bytes | None:
    """Return what is in a file of a credential.

    Raises:
        OSError: it cannot be read.
    """
    return None if path is None else path.read_bytes().strip()


def _account(configuration: Configuration, engine: sa.Engine, title: str, address: str, name: str) -> Caller:
    entry = matching_peer(configuration.dicom.peers, title, address)
    if entry is None:
        raise NobodySuch("not admitted: no peer entry matches the calling AE title and address")
    with engine.connect() as connection:
        known = accounts.find(connection, name)
    if known is None:
        raise NobodySuch("no account of that name (dgis account list)")
    caller = caller_of(entry, title, configuration.gateway.name)
    said = replace(known.assertions, issuer=configuration.gateway.name)
    return replace(caller, assertions=said, may=caller.may & known.may)
