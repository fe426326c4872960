"""From `[[identity.issuers]]` to what the catalog verifies credentials with."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from catalog.callers import Right
from catalog.credentials.authority import grid_issuer
from catalog.credentials.issuers import AssertionIssuer, Issuer, KeySource, TokenIssuer
from catalog.credentials.kerberos import PRINCIPAL, Realm
from dgis.identity.configuration import IdentitySection, IssuerEntry
from dgis.identity.keys import FileKeys, JwksKeys, over_http


class IssuerError(Exception):
    """An issuer cannot be used; the message names the setting."""


@dataclass(frozen=True, slots=True)
class Issuers:
    """Every trusted issuer by its URI, apart by what it signs; realms of Kerberos by their name."""

    tokens: dict[str, TokenIssuer] = field(default_factory=dict)
    assertions: dict[str, AssertionIssuer] = field(default_factory=dict)
    realms: dict[str, Realm] = field(default_factory=dict)


def trusted(section: IdentitySection, grid_jwks: Path | None = None) -> Issuers:
    """Return the issuers that the configuration names, and the grid itself; no key is fetched yet.

    Raises:
        IssuerError: an algorithm that cannot be, a certificate that cannot be read.
    """
    found = Issuers()
    if grid_jwks is not None:
        found.tokens[section.grid] = grid_issuer(section.grid, section.audience, FileKeys(grid_jwks))
    for entry in section.issuers:
        try:
            _add(found, entry, section.audience)
        except (OSError, ValueError) as error:
            raise IssuerError(f"identity.issuers, {entry.uri}: {error}") from None
    return found


def _add(found: Issuers, entry: IssuerEntry, audience: str) -> None:
    issuer = Issuer(
        uri=entry.uri,
        audiences=frozenset(entry.audiences or (audience,)),
        names=entry.all_names,
        institutions=None if entry.institutions is None else frozenset(entry.institutions),
        may=frozenset(map(Right, entry.may)),
    )
    if entry.kind == "oidc":
        found.tokens[entry.uri] = TokenIssuer(issuer, _keys(entry), frozenset(entry.algorithms))
    elif entry.kind == "saml":
        certificates = tuple(path.read_text("ascii") for path in entry.certificate_files)
        found.assertions[entry.uri] = AssertionIssuer(issuer, certificates)
    else:
        # What is said of everybody in a realm is stated under the name of its field.
        stated = {str(name): value for name, value in entry.states.items()}
        names = {"user": PRINCIPAL} | {name: name for name in stated}
        found.realms[entry.realm or entry.uri] = Realm(replace(issuer, names=names), stated)


def _keys(entry: IssuerEntry) -> KeySource:
    if entry.jwks_file is not None:
        return FileKeys(entry.jwks_file)
    return JwksKeys(over_http(entry.uri, entry.jwks_url, entry.ca_file))
