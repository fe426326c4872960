"""Share tokens: a grant to whoever bears one.

The bearer asserts the token's id, vouched for by `catalog.callers.SHARED`, and grants that name just that are
all that opens anything to it (`Assertions.alone`). Denials, a refusal of consent first of all, hold for it as
for everybody.
"""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, delete, insert, select

from catalog import grants
from catalog.callers import SHARED, Assertions, Right
from catalog.credentials.opaque import PREFIX, digest
from catalog.credentials.values import Judgement, Reason, Rejected, Verified
from catalog.grants import Grant, What, Who
from catalog.tables import grants as grant_rows
from catalog.tables import share_token

SHAREABLE = frozenset({Right.FIND, Right.RETRIEVE, Right.PHI})
"""What a bearer may at most: to see, never to send, to share on or to administer."""

LONGEST_DAYS = 366
_DAY_MS = 86_400_000
_SHARE = re.compile(rb"dgis_share_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Share:
    """A share as it is kept; what is shared says the grant of origin `share:ID`."""

    id: str
    may: frozenset[Right]
    maker: str
    made_ms: int
    until_ms: int

    @property
    def origin(self) -> str:
        """What its grant names as its origin."""
        return f"share:{self.id}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be shared: `may` of it, until `until_ms`, and why."""

    what: What
    may: frozenset[Right]
    until_ms: int
    reason: str


def is_share(token: bytes) -> bool:
    """Whether a credential has the form of a share token."""
    return bool(_SHARE.fullmatch(token))


def prepared(wanted: Wanted, maker: str, now_ms: int) -> tuple[Share, Grant]:
    """Return a share that is to be made, and the grant that goes with it.

    Raises:
        ValueError: what is named is no patient, study or series, it may more than see or nothing, or it lives
            too long.
    """
    what, may, until_ms = wanted.what, wanted.may, wanted.until_ms
    if what.patient_key is None or what.linked:
        raise ValueError("one patient, study or series is shared")
    if not may or not may <= SHAREABLE or may == {Right.PHI}:
        raise ValueError("a share gives find, retrieve, and phi with them")
    if not now_ms < until_ms <= now_ms + LONGEST_DAYS * _DAY_MS:
        raise ValueError(f"a share ends within {LONGEST_DAYS} days")
    share = Share(secrets.token_hex(8), may, maker, now_ms, until_ms)
    who = Who(issuer=SHARED, user=share.id)
    return share, Grant(
        who, what, may, not_before_ms=now_ms, not_after_ms=until_ms, reason=wanted.reason, origin=share.origin
    )


def add(connection: Connection, share: Share) -> str:
    """Write a share down and return its token, which nobody can be told again; its grant is the caller's."""
    token = f"{PREFIX.decode()}share_{secrets.token_urlsafe(32)}"
    row = {
        "id": share.id,
        "digest": digest(token.encode()),
        "may": json.dumps(sorted(right.value for right in share.may)),
        "maker": share.maker,
        "made_ms": share.made_ms,
        "until_ms": share.until_ms,
    }
    connection.execute(insert(share_token), row)
    return token


def every(connection: Connection, maker: str | None = None) -> Iterator[Share]:
    """Yield the shares, of one maker or of all, oldest first."""
    wanted = select(share_token).order_by(share_token.c.made_ms, share_token.c.id)
    if maker is not None:
        wanted = wanted.where(share_token.c.maker == maker)
    return map(_share, connection.execute(wanted).mappings())


def withdraw(connection: Connection, share_id: str, now_ms: int, maker: str | None = None) -> Share | None:
    """Take a share back with its grant, of one maker alone where that is named; None where there is none."""
    wanted = delete(share_token).where(share_token.c.id == share_id).returning(*share_token.c)
    if maker is not None:
        wanted = wanted.where(share_token.c.maker == maker)
    row = connection.execute(wanted).mappings().first()
    if row is None:
        return None
    share = _share(row)
    for grant_id in connection.scalars(select(grant_rows.c.id).where(grant_rows.c.origin == share.origin)):
        grants.revoke(connection, grant_id, now_ms)
    return share


def verify_share(connection: Connection, token: bytes, now_ms: int) -> Judgement:
    """Look a share token up; it proves that its bearer has it, and nothing about who that is."""
    wanted = select(share_token).where(share_token.c.digest == digest(token))
    row = connection.execute(wanted).mappings().first()
    if row is None:
        return Rejected(Reason.UNKNOWN_TOKEN)
    share = _share(row)
    if now_ms >= share.until_ms:
        return Rejected(Reason.EXPIRED)
    return Verified(f"share {share.id}", Assertions(issuer=SHARED, user=share.id), share.may, share.until_ms)


def forget_expired(connection: Connection, before_ms: int) -> int:
    """Forget shares that ended before; returns how many."""
    return connection.execute(delete(share_token).where(share_token.c.until_ms < before_ms)).rowcount


def _share(row: RowMapping) -> Share:
    may = frozenset(map(Right, json.loads(row["may"])))
    return Share(row["id"], may, row["maker"], row["made_ms"], row["until_ms"])
