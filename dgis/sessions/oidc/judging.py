"""Sessions that a provider vouches for: judged by its token at every request, renewed before that ends."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

import structlog

from catalog.credentials.values import Judgement, Reason, Rejected
from dgis.sessions.oidc.fetching import ProviderAway
from dgis.sessions.oidc.provider import Provider
from dgis.sessions.store import Store
from dgis.sessions.values import Found

_log = structlog.get_logger(__name__)

_WAIT_SECONDS = 12.0  # for another request, or process, that renews: longer than a provider may take
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class OidcSessions:
    """Judges such sessions; `executor` renews them in the last third of their token's life."""

    providers: Mapping[str, Provider]
    store: Store
    executor: Executor
    clock_ms: Callable[[], int]

    def judge(self, secret: str, found: Found) -> Judgement:
        """Judge what a session holds; where its token has ended, get another one first."""
        provider = self.providers.get(found.held["issuer"])
        if provider is None:
            return Rejected(Reason.UNKNOWN_ISSUER)
        judged = provider.judge(found.held)
        if "refresh" not in found.held:
            return judged
        if judged == Rejected(Reason.EXPIRED):
            held = self._renewed(provider, secret, found)
            return judged if held is None else provider.judge(held)
        if self._is_due(found.held) and self.store.begin_renewal(found):
            self.executor.submit(self._renew, provider, secret, found)
        return judged

    def _is_due(self, held: Mapping[str, str]) -> bool:
        got_s, until_s = int(held["got_s"]), int(held["until_s"])
        return self.clock_ms() // 1000 >= until_s - (until_s - got_s) // 3

    def _renewed(self, provider: Provider, secret: str, found: Found) -> Mapping[str, str] | None:
        """Renew, or wait for who does: a refresh token used twice ends all of them (RFC 9700 4.14)."""
        if self.store.begin_renewal(found):
            return self._renew(provider, secret, found)
        deadline = time.monotonic() + _WAIT_SECONDS
        pause = threading.Event()
        while time.monotonic() < deadline:
            now = self.store.find(secret)
            if now is None:
                return None
            if now.held["token"] != found.held["token"]:
                return now.held
            if "refresh" not in now.held:
                return None
            pause.wait(_LOOK_SECONDS)
        return None

    def _renew(self, provider: Provider, secret: str, found: Found) -> Mapping[str, str] | None:
        """Renew a session; where the provider refuses, it is not asked again and the session ends in time.

        While the provider is away the renewal stays begun, so that the next try comes half a minute later.
        """
        try:
            proven = provider.renew(found.held)
        except ProviderAway:
            _log.warning("session_not_renewed", reason="provider_away")
            return None
        except Exception as error:  # noqa: BLE001 (in the background nobody else would hear of it)
            _log.warning("session_not_renewed", reason=type(error).__name__, exc_info=error)
            return None
        if isinstance(proven, Rejected):
            _log.warning("session_not_renewed", reason=proven.reason.name.lower())
            held = {name: value for name, value in found.held.items() if name != "refresh"}
            self.store.renew(secret, held)
            return None
        self.store.renew(secret, proven.held)
        return proven.held
