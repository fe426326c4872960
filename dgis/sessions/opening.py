"""From the configuration to the sessions of a web door."""

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import sqlalchemy as sa
from fastapi import APIRouter, Request

from catalog.credentials.issuers import TokenIssuer
from dgis.configuration import Configuration
from dgis.identity.configuration import IssuerEntry
from dgis.parts import StartError, now_ms
from dgis.sessions import pages
from dgis.sessions.browsers import Browsers
from dgis.sessions.desk import Desk, Recording
from dgis.sessions.judging import AccountSessions, Sessions, ShareSessions
from dgis.sessions.oidc.desk import ProviderDesk, farewell
from dgis.sessions.oidc.desk import routes as routes_of_providers
from dgis.sessions.oidc.fetching import Fetcher
from dgis.sessions.oidc.flow import Client
from dgis.sessions.oidc.judging import OidcSessions
from dgis.sessions.oidc.metadata import Discovered
from dgis.sessions.oidc.provider import Provider
from dgis.sessions.routes import routes as routes_of_accounts
from dgis.sessions.store import Store
from dgis.sessions.values import SessionKind
from dgis.web.logins import Logins

_RENEWALS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Opened:
    """What a door knows browsers by."""

    browsers: Browsers
    accounts: AccountSessions
    providers: tuple[Provider, ...]
    seconds: int
    executor: Executor

    def routes(self, logins: Logins, recording: Recording) -> list[APIRouter]:
        """Return where browsers log in and out."""

        def leave(request: Request, held: Mapping[str, str]) -> str | None:
            return farewell(self.providers, self.browsers.base(request) + pages.LOGIN_PATH, held)

        ways = tuple(provider.client.name for provider in self.providers)
        desk = Desk(logins, self.browsers, self.accounts, recording, self.seconds, ways, leave)
        return [routes_of_providers(ProviderDesk(desk, self.providers)), routes_of_accounts(desk)]

    def close(self) -> None:
        """Renew nothing more."""
        self.executor.shutdown(wait=False, cancel_futures=True)


def opened(configuration: Configuration, engine: sa.Engine, trusted: Mapping[str, TokenIssuer]) -> Opened:
    """Open the sessions that the configuration describes; `trusted` are the issuers of tokens by their URI.

    Raises:
        StartError: the secret of a client cannot be read.
    """
    web = configuration.web
    store = Store(engine, web.sessions.idle_minutes * 60, now_ms)
    accounts = AccountSessions(engine, configuration.gateway.name)
    providers = tuple(
        _provider(entry, trusted[entry.uri])
        for entry in configuration.identity.issuers
        if entry.kind == "oidc" and entry.client_id is not None
    )
    executor = ThreadPoolExecutor(_RENEWALS_AT_ONCE, "renew")
    by_issuer = {provider.client.issuer: provider for provider in providers}
    judges = {
        SessionKind.ACCOUNT: accounts.judge,
        SessionKind.SHARE: ShareSessions(engine, now_ms).judge,
        SessionKind.OIDC: OidcSessions(by_issuer, store, executor, now_ms).judge,
    }
    browsers = Browsers(Sessions(store, judges), web.url)
    return Opened(browsers, accounts, providers, web.sessions.hours * 3600, executor)


def _provider(entry: IssuerEntry, trusted: TokenIssuer) -> Provider:
    assert entry.client_id is not None, "asked before"
    secret = None if entry.client_secret is None else entry.client_secret.get_secret_value()
    if entry.client_secret_file is not None:
        try:
            secret = entry.client_secret_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            where = f"identity.issuers, {entry.uri}: client_secret_file"
            raise StartError(f"{where}: cannot read {entry.client_secret_file}") from None
    name = entry.label or entry.uri
    client = Client(entry.uri, entry.client_id, name, entry.scopes, entry.login_by, secret)
    fetcher = Fetcher(entry.ca_file)
    return Provider(client, trusted, Discovered(entry.uri, fetcher), fetcher, now_ms)
