"""A web door of one process without sockets: accounts, sessions, tokens, and the trail they leave."""

import asyncio
from dataclasses import dataclass

import httpx
import pytest
import sqlalchemy as sa

import dgis.schema  # noqa: F401 - makes the tables known
from catalog.audit import trail
from catalog.callers import Assertions, Right
from catalog.credentials import accounts
from catalog.credentials.passcodes import Account, hashed
from catalog.tables import metadata as catalog_metadata
from dgis.identity.authenticate import Authenticator, Trust
from dgis.identity.issuers import Issuers
from dgis.roles.web import refusals
from dgis.sessions.browsers import Browsers
from dgis.sessions.desk import Desk, Recording
from dgis.sessions.judging import AccountSessions, Sessions, ShareSessions
from dgis.sessions.oidc.desk import ProviderDesk, farewell
from dgis.sessions.oidc.desk import routes as routes_of_providers
from dgis.sessions.oidc.judging import OidcSessions
from dgis.sessions.routes import routes as routes_of_login
from dgis.sessions.store import Store
from dgis.sessions.values import SessionKind
from dgis.tables import metadata
from dgis.trail.recorder import Recorder
from dgis.web import callers, tokens
from dgis.web.application import application
from dgis.web.limits import Limits
from dgis.web.logins import Logins
from dgis.web.tokens import Tokens
from tests.unit.catalog.credentials.makers import IDP, NOW_S, token_issuer

NAME, PASSCODE = "dr-no", "crab key"
HASH = hashed(PASSCODE)
GATEWAY = "gateway-1"
OURS = {"Sec-Fetch-Site": "same-origin"}


class Clock:
    now_ms = NOW_S * 1000

    def __call__(self):
        return self.now_ms


@dataclass
class Door:
    """One web door; `base` is how it is called."""

    engine: sa.Engine
    clock: Clock
    app: object
    recorder: Recorder
    base: str = "http://127.0.0.1"
    idp: object = None

    def ask(self, method, path, **given):
        async def asked():
            transport = httpx.ASGITransport(self.app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url=self.base, cookies=cookies) as client:
                return await client.request(method, path, **given)

        cookies, address = given.pop("cookies", None), given.pop("client", "127.0.0.1")
        return asyncio.run(asked())

    def sign_in(self, name=NAME, passcode=PASSCODE, **given):
        return self.ask("POST", "/login", data={"name": name, "passcode": passcode}, headers=OURS, **given)

    def caller(self, **given):
        return self.ask("GET", "/api/caller", **given)

    def entries(self):
        self.recorder.write()
        with self.engine.connect() as connection:
            return [entry.happening for entry in trail.latest(connection, 1000)]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine():
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False})
    for tables in (catalog_metadata, metadata):
        tables.create_all(engine)
    seeded(engine)
    yield engine
    engine.dispose()


def seeded(engine):
    """One account."""
    with engine.begin() as connection:
        said = Assertions(user=NAME, institution="Hospital A")
        accounts.add(connection, Account(NAME, HASH, said, frozenset({Right.FIND, Right.PHI})))


@pytest.fixture
def door(engine, clock):
    return made(engine, clock)


class Inline:
    """An executor that does it at once."""

    def submit(self, step, *arguments):
        step(*arguments)


def made(engine, clock, url=None, providers=(), rates=None):
    """Another process of the same door has the same database and nothing else in common."""
    recorder = Recorder(engine, "test/web", clock)
    known = AccountSessions(engine, GATEWAY)
    store = Store(engine, 600, clock)
    by_issuer = {one.client.issuer: one for one in providers}
    oidc = OidcSessions(by_issuer, store, Inline(), clock)
    judges = {
        SessionKind.ACCOUNT: known.judge,
        SessionKind.OIDC: oidc.judge,
        SessionKind.SHARE: ShareSessions(engine, clock).judge,
    }
    sessions = Sessions(store, judges)
    browsers = Browsers(sessions, url)
    authenticator = Authenticator(Trust((), Issuers({IDP: token_issuer()}), GATEWAY), engine, clock)
    logins = Logins(authenticator, recorder, browsers=browsers, rates=rates)
    recording = Recording(engine, "test/web", clock)
    ways = tuple(one.client.name for one in providers)
    leave = lambda _request, held: farewell(providers, "http://127.0.0.1/login", held)  # noqa: E731
    desk = Desk(logins, browsers, known, recording, 3600, ways, leave)
    routers = [
        callers.routes(logins),
        tokens.routes(Tokens(engine, "test/web", clock), logins),
        routes_of_providers(ProviderDesk(desk, providers)),
        routes_of_login(desk),
    ]
    return Door(engine, clock, application(routers, Limits(), refusals(recorder)), recorder)
