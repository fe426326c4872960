"""Tokens that were verified a moment ago: one that comes again from the same address is not verified anew."""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

from catalog.credentials.opaque import PREFIX
from catalog.credentials.values import Verified
from dgis.identity.requests import JWT, Presented

REMEMBERED_SECONDS = 5.0
"""So long a token whose issuer changed its keys may still be answered."""

_MOST = 1024


class Remembered:
    """Verified principals by what they presented; in memory only, and of that no more than a keyed digest.

    Only signed tokens, which nobody takes back before they end: a token of an account may be revoked, and an
    account that rests or is gone has no passcode any more, at once. What may be used once is never
    remembered, nor is what was refused.
    """

    def __init__(self, clock: Callable[[], float], clock_ms: Callable[[], int]) -> None:
        self._clock = clock
        self._clock_ms = clock_ms
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[float, Verified]] = OrderedDict()

    def find(self, presented: Presented) -> Verified | None:
        """Return who presented this within the last seconds and still may be believed."""
        if not self._known or not _is_token(presented):
            return None
        name = self._digest(presented)
        with self._lock:
            found = self._known.get(name)
        if found is None or self._clock() - found[0] >= REMEMBERED_SECONDS:
            return None
        who = found[1]
        return None if who.until_ms is not None and who.until_ms <= self._clock_ms() else who

    def proven(self, presented: Presented, who: Verified) -> None:
        """Remember it."""
        if who.once is not None or not _is_token(presented):
            return
        name = self._digest(presented)
        with self._lock:
            self._known[name] = (self._clock(), who)
            self._known.move_to_end(name)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)

    def _digest(self, presented: Presented) -> bytes:
        identity = presented.identity
        parts = [
            presented.address.encode(),
            b"\1" if presented.encrypted else b"\0",
            presented.certificate or b"",
            (presented.recipient or "").encode(),
        ]
        if identity is not None:
            parts += [bytes([identity.kind]), identity.primary, identity.secondary]
        said = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, said, hashlib.sha256)


def _is_token(presented: Presented) -> bool:
    identity = presented.identity
    return identity is not None and identity.kind == JWT and not identity.primary.startswith(PREFIX)
