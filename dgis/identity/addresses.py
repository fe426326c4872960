"""IP addresses of peers as they are compared: an IPv4 address inside an IPv6 one is that IPv4 address."""

import ipaddress
from functools import lru_cache

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=1024)
def parsed(address: str) -> IpAddress | None:
    """Return an address; None where the text is none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own: what comes from there was on no network."""
    found = parsed(address)
    return found is not None and found.is_loopback
