"""Sessions in the database: opened, found, renewed, ended; what one web process does, all others see."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from dgis.sessions import sealing
from dgis.sessions.tables import web_session as rows
from dgis.sessions.values import Found, New, SessionKind

_RENEWAL_MS = 30_000  # whoever renews has answered by then, or died
_MOST_TOUCH_MS = 60_000


@dataclass(frozen=True, slots=True)
class Store:
    """The sessions of all doors; `idle_seconds` without a request end one."""

    engine: sa.Engine
    idle_seconds: int
    clock_ms: Callable[[], int]

    def open(self, new: New, instead_of: str | None = None) -> str:
        """Open a session and return the secret for its cookie; that of a session before it ends with this.

        The commit is the commit point: before it the old one stands.
        """
        secret, now_ms = sealing.new_secret(), self.clock_ms()
        row = {
            "digest": sealing.digest(secret),
            "kind": new.kind.value,
            "owner": new.owner,
            "sealed": sealing.closed(secret, new.held),
            "made_ms": now_ms,
            "seen_ms": now_ms,
            "until_ms": now_ms + new.seconds * 1000,
        }
        with self.engine.begin() as connection:
            if instead_of is not None:
                connection.execute(sa.delete(rows).where(rows.c.digest == sealing.digest(instead_of)))
            connection.execute(sa.insert(rows), row)
        return secret

    def find(self, secret: str) -> Found | None:
        """Return the session of a cookie, and note that it was used; None where there is none any more."""
        if not sealing.is_secret(secret):
            return None
        now_ms, found_by = self.clock_ms(), rows.c.digest == sealing.digest(secret)
        with self.engine.execution_options(read_only=True).connect() as connection:
            row = connection.execute(sa.select(rows).where(found_by)).mappings().first()
        if row is None or now_ms >= row["until_ms"] or now_ms >= row["seen_ms"] + self.idle_seconds * 1000:
            return None
        held = sealing.opened(secret, row["sealed"])
        if held is None:
            return None
        if now_ms - row["seen_ms"] >= min(_MOST_TOUCH_MS, self.idle_seconds * 100):
            with self.engine.begin() as connection:
                connection.execute(sa.update(rows).where(found_by).values(seen_ms=now_ms))
        return Found(
            row["digest"], SessionKind(row["kind"]), row["owner"], held, row["made_ms"], row["until_ms"]
        )

    def take(self, secret: str, kind: SessionKind) -> Found | None:
        """Return a session of that kind and end it: of several who ask, one gets it."""
        found = self.find(secret)
        if found is None or found.kind is not kind or not self.end(secret):
            return None
        return found

    def begin_renewal(self, found: Found) -> bool:
        """Whether whoever asks is to renew what a session holds; one at a time, over all processes."""
        now_ms = self.clock_ms()
        mine = sa.update(rows).where(rows.c.digest == found.digest, rows.c.renewing_ms < now_ms - _RENEWAL_MS)
        with self.engine.begin() as connection:
            return connection.execute(mine.values(renewing_ms=now_ms)).rowcount == 1

    def renew(self, secret: str, held: Mapping[str, str] | None) -> None:
        """Put what a session holds now in the place of what it held; None: it stays, the renewal is over."""
        values: dict[str, object] = {"renewing_ms": 0}
        if held is not None:
            values["sealed"] = sealing.closed(secret, held)
        with self.engine.begin() as connection:
            connection.execute(
                sa.update(rows).where(rows.c.digest == sealing.digest(secret)).values(**values)
            )

    def end(self, secret: str) -> bool:
        """End a session; False where it had ended."""
        with self.engine.begin() as connection:
            ending = sa.delete(rows).where(rows.c.digest == sealing.digest(secret))
            return connection.execute(ending).rowcount == 1

    def end_all(self, owner: str) -> int:
        """End every session of somebody; returns how many."""
        with self.engine.begin() as connection:
            return end_all(connection, owner)


def end_all(connection: sa.Connection, owner: str) -> int:
    """End every session of somebody, by the caller's commit; returns how many."""
    return connection.execute(sa.delete(rows).where(rows.c.owner == owner)).rowcount


def forget_over(connection: sa.Connection, now_ms: int) -> int:
    """Forget sessions that are over by their age; returns how many."""
    return connection.execute(sa.delete(rows).where(rows.c.until_ms < now_ms)).rowcount
