"""Whom a session stands for: asked at every request, of whoever vouched for it at the login."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from catalog.credentials import accounts
from catalog.credentials.passcodes import Account
from catalog.credentials.shares import verify_share
from catalog.credentials.values import Judgement, Kind, Reason, Rejected, Verified
from dgis.identity.requests import Session
from dgis.sessions.store import Store
from dgis.sessions.values import Found, New, SessionKind, owner_of

Judge = Callable[[str, Found], Judgement]
"""Judges what a session holds; it is given the secret of the cookie too, to keep something else in it."""

KINDS: Mapping[SessionKind, Kind] = {
    SessionKind.ACCOUNT: Kind.PASSCODE,
    SessionKind.OIDC: Kind.JWT,
    SessionKind.SHARE: Kind.TOKEN,
}


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of a door, each kind with its judge."""

    store: Store
    judges: Mapping[SessionKind, Judge]

    def judged(self, secret: str) -> Session | Rejected:
        """Return what the session of a cookie proves now; never more than its credential would."""
        found = self.store.find(secret)
        judge = None if found is None else self.judges.get(found.kind)
        if found is None or judge is None:
            return Rejected(Reason.NO_SESSION)
        judged = judge(secret, found)
        if isinstance(judged, Rejected):
            return judged
        ends = found.until_ms if judged.until_ms is None else min(found.until_ms, judged.until_ms)
        return Session(KINDS[found.kind], replace(judged, until_ms=ends), found.digest)


@dataclass(frozen=True, slots=True)
class AccountSessions:
    """Sessions of accounts: such a one ends with the passcode that it began with, and with the account."""

    engine: sa.Engine
    gateway: str

    def find(self, name: str) -> Account | None:
        """Return an account as it is now."""
        with self.engine.execution_options(read_only=True).connect() as connection:
            return accounts.find(connection, name)

    def new(self, account: Account, seconds: int) -> New:
        """Return the session to be opened for an account, as it was before its passcode was verified."""
        owner = owner_of(self.gateway, account.assertions.user or account.name)
        return New(SessionKind.ACCOUNT, owner, {"account": account.name, "mark": _mark(account)}, seconds)

    def judge(self, _secret: str, found: Found) -> Judgement:
        """Judge a session by the account as it is now."""
        account = self.find(found.held["account"])
        if account is None or _mark(account) != found.held["mark"]:
            return Rejected(Reason.NO_SESSION)
        return Verified(account.name, replace(account.assertions, issuer=self.gateway), account.may)


@dataclass(frozen=True, slots=True)
class ShareSessions:
    """Sessions of who bears a share token: such a one ends with the share."""

    engine: sa.Engine
    clock_ms: Callable[[], int]

    def judge(self, _secret: str, found: Found) -> Judgement:
        """Judge a session by the token."""
        with self.engine.execution_options(read_only=True).connect() as connection:
            return verify_share(connection, found.held["token"].encode(), self.clock_ms())


def _mark(account: Account) -> str:
    """Return what changes with the passcode; it says nothing about it."""
    return hashlib.sha256(account.passcode_hash.encode()).hexdigest()
