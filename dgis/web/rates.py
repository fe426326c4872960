"""How often an address and a caller may ask, and be refused: buckets that fill again while time passes."""

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from dgis.identity.addresses import parsed
from dgis.web.configuration import RatesSection

_MOST = 10_000  # of which something is remembered; who has not asked for longest is forgotten
_NETWORK_BITS = 64  # of IPv6: one subscriber has so many addresses as its own


class Buckets:
    """A bucket for each name: a request takes one from it, `per_second` come back, `burst` fit in.

    With `per_second` 0 nothing is limited. Thread-safe; in memory, so each process of a door has its own.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic, most: int = _MOST
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when it was

    def take(self, name: str) -> float:
        """Take one, and return 0; or where none is left, the seconds until there is."""
        return self._look(name, 1.0)

    def wait(self, name: str) -> float:
        """Return what `take` would, and take none."""
        return self._look(name, 0.0)

    def _look(self, name: str, taken: float) -> float:
        if not self._per_second:
            return 0.0
        now = self._clock()
        with self._lock:
            left, at = self._left.get(name, (float(self._burst), now))
            left = min(float(self._burst), left + (now - at) * self._per_second)
            enough = left >= 1.0
            self._left[name] = left - taken if enough else left, now
            self._left.move_to_end(name)
            if len(self._left) > self._most:
                self._left.popitem(last=False)
        return 0.0 if enough else (1.0 - left) / self._per_second


@dataclass(frozen=True, slots=True)
class Rates:
    """The buckets of a door: requests by address and by caller, and refused credentials by address."""

    addresses: Buckets
    callers: Buckets
    refusals: Buckets

    @classmethod
    def of(cls, section: RatesSection, clock: Callable[[], float] = time.monotonic) -> "Rates":
        """Return those that the configuration describes."""
        return cls(
            Buckets(section.address_per_second, section.address_burst, clock),
            Buckets(section.caller_per_second, section.caller_burst, clock),
            Buckets(section.refused_per_minute / 60, section.refused_per_minute, clock),
        )


def network_of(address: str) -> str:
    """Return what requests of an address are counted under."""
    found = parsed(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, _NETWORK_BITS), strict=False))
    return address


def retry_after(seconds: float) -> str:
    """Return the value of Retry-After (RFC 9110 10.2.3), whole seconds."""
    return str(max(1, ceil(seconds)))
