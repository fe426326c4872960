"""Credentials that may be used once, and have been (SAML core 2.5.1.5)."""

from sqlalchemy import Connection, delete

from catalog.sql import insert_ignoring
from catalog.tables import spent_credential


def spend(connection: Connection, issuer: str, once: str, until_ms: int) -> bool:
    """Note that a credential is used now; False where it was before.

    The commit of the caller's transaction is the commit point: a crash before it leaves the credential
    unused, and nobody was admitted by it.
    """
    noted = insert_ignoring(connection, spent_credential).returning(spent_credential.c.once)
    values = {"issuer": issuer, "once": once, "until_ms": until_ms}
    return connection.execute(noted, values).first() is not None


def forget_expired(connection: Connection, before_ms: int) -> int:
    """Forget what no clock takes for valid any more; returns how many."""
    return connection.execute(
        delete(spent_credential).where(spent_credential.c.until_ms < before_ms)
    ).rowcount
