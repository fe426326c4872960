"""Where a provider is asked what: its discovery document (OpenID Connect Discovery 1.0 section 4)."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dgis.sessions.oidc.fetching import Fetcher, ProviderAway, is_reachable

_GOOD_FOR_SECONDS = 600.0
_LAST_RESORT_SECONDS = 3600.0  # so long the last one counts while the provider is away
_ASK_AGAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself; `names_itself`: its answers bear `iss` (RFC 9207)."""

    authorization_endpoint: str
    token_endpoint: str
    end_session_endpoint: str | None = None
    names_itself: bool = False
    by_post: bool = False  # the client's secret goes into the form (client_secret_post)


def read(issuer: str, said: Mapping[str, Any]) -> Metadata:
    """Return what a discovery document says.

    Raises:
        ProviderAway: it speaks for another issuer, or names no endpoint that may be used.
    """
    authorization, token = said.get("authorization_endpoint"), said.get("token_endpoint")
    leave = said.get("end_session_endpoint")
    if said.get("issuer") != issuer:
        raise ProviderAway
    if not (isinstance(authorization, str) and isinstance(token, str)):
        raise ProviderAway
    if not (is_reachable(authorization) and is_reachable(token)):
        raise ProviderAway
    methods = said.get("token_endpoint_auth_methods_supported")
    by_post = isinstance(methods, list) and "client_secret_basic" not in methods
    return Metadata(
        authorization,
        token,
        leave if isinstance(leave, str) and is_reachable(leave) else None,
        said.get("authorization_response_iss_parameter_supported") is True,
        by_post and "client_secret_post" in (methods or ()),
    )


class Discovered:
    """The document of one provider, kept for minutes."""

    def __init__(self, issuer: str, fetcher: Fetcher, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._fetcher = fetcher
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: Metadata | None = None
        self._kept_at = self._asked_at = float("-inf")

    def __call__(self) -> Metadata:
        """Return it.

        Raises:
            ProviderAway: there is none, and was none lately.
        """
        with self._lock:
            now = self._clock()
            due = now - self._kept_at >= _GOOD_FOR_SECONDS
            if due and (self._kept is None or now - self._asked_at >= _ASK_AGAIN_SECONDS):
                self._asked_at = now
                try:
                    self._kept, self._kept_at = self._fetched(), now
                except ProviderAway:
                    if self._kept is None or now - self._kept_at > _LAST_RESORT_SECONDS:
                        raise
            assert self._kept is not None, "it was fetched, or that raised"
            return self._kept

    def last(self) -> Metadata | None:
        """Return the document that is at hand, without asking."""
        return self._kept

    def _fetched(self) -> Metadata:
        answer = self._fetcher.get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if answer.status != 200:  # noqa: PLR2004 (OK)
            raise ProviderAway
        return read(self._issuer, answer.said)
