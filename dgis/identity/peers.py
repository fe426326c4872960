"""AE title and address -> caller: for devices that can say nothing better about themselves."""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache

from catalog.callers import Assertions, Caller, Right
from catalog.credentials.values import Verified
from dgis.configuration import AssertionSet, Destination, Peer
from dgis.identity.addresses import IpAddress, parsed
from dgis.identity.certificates import ends_ms, names_in


def matching_peer(peers: Sequence[Peer], calling_ae_title: str, address: str) -> Peer | None:
    """Return the first entry that title and address match.

    Args:
        peers: configured entries, in their order.
        calling_ae_title: as it came over the wire; compared case-sensitively (PS3.5 6.2), trimmed.
        address: the peer's IP address.
    """
    title = calling_ae_title.strip(" ")
    host = parsed(address)
    if host is None:
        return None
    return next(
        (peer for peer in peers if fnmatchcase(title, peer.ae_title) and _within(host, peer.addresses)), None
    )


def caller_of(entry: Peer, calling_ae_title: str, issuer: str) -> Caller:
    """Return the caller that an entry alone stands for; `issuer` is who vouches: this gateway."""
    return Caller(
        name=calling_ae_title.strip(" "),
        assertions=asserted(entry.assertions, issuer),
        may=frozenset(map(Right, entry.may)),
    )


def certified_peer(
    peers: Sequence[Peer], certificate: bytes, address: str, issuer: str
) -> tuple[Peer, Verified] | None:
    """Return the first entry that binds a name of the certificate, and what it proves at this address.

    Its proof ends with the certificate. Entries that bind no name are for titles, which HTTP has not.
    """
    names = names_in(certificate)
    host = parsed(address)
    for peer in peers:
        bound = [name for name in names if any(fnmatchcase(name, each) for each in peer.certificate_names)]
        if bound and host is not None and _within(host, peer.addresses):
            may = frozenset(map(Right, peer.may))
            return peer, Verified(bound[0], asserted(peer.assertions, issuer), may, ends_ms(certificate))
    return None


def identify_destination(
    peers: Sequence[Peer], ae_title: str, destination: Destination, issuer: str
) -> Caller:
    """Return who a C-MOVE destination is; one that matches no peer entry has no clearance at all.

    Where the entry asks its peer for a credential, being at the address proves nothing: no originals then.
    """
    entry = matching_peer(peers, ae_title, _literal(destination.host))
    if entry is None:
        return Caller(name=ae_title)
    known = caller_of(entry, ae_title, issuer)
    unproven = entry.requires or entry.certificate_names
    return replace(known, may=known.may - {Right.PHI}) if unproven else known


def asserted(said: AssertionSet, issuer: str) -> Assertions:
    """Return configured assertions as the catalog compares them."""
    return Assertions(
        issuer=issuer,
        user=said.user,
        department=said.department,
        institution=said.institution,
        role=said.role,
        purpose=said.purpose,
    )


def _within(host: IpAddress, networks: Sequence[str]) -> bool:
    return any(host in _network(network) for network in networks)


@lru_cache(maxsize=1024)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


def _literal(host: str) -> str:
    # A destination is cleared by its address in the configuration; a name that could resolve elsewhere
    # tomorrow is not an address, except the one name that every host resolves to itself.
    return "127.0.0.1" if host == "localhost" else host
