"""Tokens that say nothing by themselves: 256 random bits, of which this site keeps a digest alone.

An API token stands for an account, within a ceiling of its own. A random secret needs no slow hash: there is
nothing to guess (NIST SP 800-63B 5.1.2).
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, RowMapping, delete, insert, select

from catalog.callers import LONGEST_VALUE, Right, is_assertable
from catalog.credentials import accounts
from catalog.credentials.values import Judgement, Reason, Rejected, Verified
from catalog.tables import api_token

PREFIX = b"dgis_"
"""Begins every opaque token, so that people and scanners of files know one when they see it."""

LONGEST_DAYS = 366
_DAY_MS = 86_400_000
_API = re.compile(rb"dgis_[A-Za-z0-9_-]{43}")  # base64url of 32 bytes (RFC 4648 5)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token of an account as it is kept; `may` is a ceiling beside that of the account."""

    id: str
    account: str
    label: str
    may: frozenset[Right]
    made_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token that is to be made for an account; it lives for `days`."""

    account: str
    label: str
    may: frozenset[Right]
    days: int


def is_opaque(credential: bytes) -> bool:
    """Whether a bearer credential is one of these; a JWT begins with its header in base64, never so."""
    return credential.startswith(PREFIX)


def digest(token: bytes) -> bytes:
    """Return what is kept of a token, 32 bytes."""
    return hashlib.sha256(token).digest()


def add(connection: Connection, wanted: Wanted, now_ms: int) -> tuple[ApiToken, str]:
    """Make a token and return it with the secret, which nobody can be told again.

    The caller's commit makes it count.

    Raises:
        ValueError: there is no such account, it may less than the token, or the token would live too long.
    """
    account, may = wanted.account, wanted.may
    known = accounts.find(connection, account)
    if known is None:
        raise ValueError("no account of that name")
    if not may or not may <= known.may:
        raise ValueError("a token may something, and at most what its account may")
    if not 0 < wanted.days <= LONGEST_DAYS:
        raise ValueError(f"a token lives 1 to {LONGEST_DAYS} days")
    if not is_assertable(wanted.label):
        raise ValueError(f"a label has {LONGEST_VALUE} characters at most, none of control")
    secret = PREFIX.decode() + secrets.token_urlsafe(32)
    made = ApiToken(secrets.token_hex(8), account, wanted.label, may, now_ms, now_ms + wanted.days * _DAY_MS)
    row = {
        "id": made.id,
        "digest": digest(secret.encode()),
        "account": account,
        "label": made.label,
        "may": json.dumps(sorted(right.value for right in may)),
        "made_ms": made.made_ms,
        "until_ms": made.until_ms,
    }
    connection.execute(insert(api_token), row)
    return made, secret


def every(connection: Connection, account: str | None = None) -> Iterator[ApiToken]:
    """Yield the tokens, of one account or of all, oldest first; expired ones too, until forgotten."""
    wanted = select(api_token).order_by(api_token.c.made_ms, api_token.c.id)
    if account is not None:
        wanted = wanted.where(api_token.c.account == account)
    return map(_token, connection.execute(wanted).mappings())


def revoke(connection: Connection, token_id: str, account: str | None = None) -> ApiToken | None:
    """Take a token away, of one account alone where that is named; None where there is no such token."""
    wanted = delete(api_token).where(api_token.c.id == token_id).returning(*api_token.c)
    if account is not None:
        wanted = wanted.where(api_token.c.account == account)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else _token(row)


def forget_expired(connection: Connection, before_ms: int) -> int:
    """Forget tokens that ended before; returns how many."""
    return connection.execute(delete(api_token).where(api_token.c.until_ms < before_ms)).rowcount


def verify_opaque(connection: Connection, token: bytes, issuer: str, now_ms: int) -> Judgement:
    """Look an API token up; it proves its account, as that is now, within the ceilings of both.

    Args:
        connection: to the catalog; it is only read.
        token: as presented.
        issuer: who vouches for accounts: this gateway.
        now_ms: epoch milliseconds.
    """
    if not _API.fullmatch(token):
        return Rejected(Reason.MALFORMED)
    wanted = select(api_token).where(api_token.c.digest == digest(token))
    row = connection.execute(wanted).mappings().first()
    known = None if row is None else accounts.find(connection, row["account"])
    if row is None or known is None:
        return Rejected(Reason.UNKNOWN_TOKEN)
    found = _token(row)
    if now_ms >= found.until_ms:
        return Rejected(Reason.EXPIRED)
    said = replace(known.assertions, issuer=issuer)
    return Verified(known.name, said, known.may & found.may, found.until_ms)


def _token(row: RowMapping) -> ApiToken:
    return ApiToken(
        id=row["id"],
        account=row["account"],
        label=row["label"],
        may=frozenset(map(Right, json.loads(row["may"]))),
        made_ms=row["made_ms"],
        until_ms=row["until_ms"],
    )
