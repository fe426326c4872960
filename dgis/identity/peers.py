"""AE title and address -> caller: for devices that can say nothing better about themselves."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from catalog.callers import Assertions, Caller, Right
from dgis.configuration import AssertionSet, Destination, Peer


@dataclass(frozen=True, slots=True)
class Unknown:
    """No entry of [[dicom.peers]] matches: the association is rejected."""

    reason: str = "no peer entry matches the calling AE title and address"


def identify_peer(
    peers: Sequence[Peer], calling_ae_title: str, address: str, issuer: str
) -> Caller | Unknown:
    """Return the caller that the first matching peer entry stands for.

    Args:
        peers: configured entries, in their order.
        calling_ae_title: as it came over the wire; compared case-sensitively (PS3.5 6.2), trimmed.
        address: the peer's IP address.
        issuer: who vouches: this gateway.
    """
    title = calling_ae_title.strip(" ")
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return Unknown()
    if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped:
        host = host.ipv4_mapped
    for peer in peers:
        if fnmatchcase(title, peer.ae_title) and _within(host, peer.addresses):
            return Caller(
                name=title, assertions=asserted(peer.assertions, issuer), may=frozenset(map(Right, peer.may))
            )
    return Unknown()


def identify_destination(
    peers: Sequence[Peer], ae_title: str, destination: Destination, issuer: str
) -> Caller:
    """Return who a C-MOVE destination is; one that matches no peer entry has no clearance at all."""
    found = identify_peer(peers, ae_title, _literal(destination.host), issuer)
    return found if isinstance(found, Caller) else Caller(name=ae_title)


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


def _within(host: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: Sequence[str]) -> bool:
    return any(host in ipaddress.ip_network(network, strict=False) for network in networks)


def _literal(host: str) -> str:
    # A destination is cleared by its address in the configuration; a name that could resolve elsewhere
    # tomorrow is not an address, except the one name that every host resolves to itself.
    return "127.0.0.1" if host == "localhost" else host
