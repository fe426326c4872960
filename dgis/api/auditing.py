"""`/api/audit`: the trail, for who administers the grid; that it was read is an entry of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.callers import Caller
from catalog.credentials.values import Verified
from catalog.release import named
from dgis.api.access import Access
from dgis.api.models import AuditPage, AuditVerified
from dgis.api.paging import Cursor, Limit, read_cursor, write_cursor
from dgis.api.problems import problems
from dgis.api.text import PRINTABLE
from dgis.trail.public import NoPublicKeyError
from dgis.trail.verifying import verify
from dgis.trail.words import entry_json, verified_json
from dgis.web.logins import Logins, address_of, caller_of
from dgis.web.problems import Problem
from replica.fleet import Fleet

MOST_VERIFIED = 250_000
"""Entries of a trail that is verified while a client waits: some seconds of a core."""


class Asked(BaseModel):
    """Which entries are asked for."""

    model_config = ConfigDict(extra="forbid")

    event: Event | None = None
    caller: Annotated[
        str | None, Field(max_length=600, pattern=PRINTABLE, description="the whole name, as entries have it")
    ] = None
    after: Cursor = None
    limit: Limit = 100


@dataclass(frozen=True, slots=True)
class Proof:
    """What the trail is verified with: the nodes that hold signed heads, and the key they are signed with."""

    fleet: Fleet
    key: Callable[[], Ed25519PublicKey]
    most: int = MOST_VERIFIED


class Auditing:
    """Reads the trail; what is read and the record of it are one transaction."""

    def __init__(self, access: Access, writer: str, proof: Proof) -> None:
        self._access = access
        self._writer = writer
        self._proof = proof
        self._verifying = threading.Lock()

    def page(self, asker: Caller, address: str, asked: Asked) -> dict[str, Any]:
        """Return some entries, newest first.

        Raises:
            Problem: 403.
            SQLAlchemyError: the trail does not take the record: nothing is told.
        """
        self._access.demand(asker)
        with self._access.engine.begin() as connection:
            found = trail.page(
                connection,
                asked.limit,
                event=asked.event,
                caller=asked.caller,
                before=read_cursor(asked.after),
            )
            detail = {"what": "list", "door": "http", "event": asked.event or "", "entries": len(found)}
            read = Happening(Event.TRAIL, named(asker), address=address, detail=dict(detail))
            trail.append(connection, self._writer, [read], self._access.clock_ms())
        last = write_cursor(*found[-1][0]) if len(found) == asked.limit else None
        return {"items": [entry_json(entry) for _place, entry in found], "next": last}

    def verified(self, asker: Caller, address: str) -> dict[str, Any]:
        """Read the whole trail and compare it with the signed heads, as `dgis audit verify` does.

        Raises:
            Problem: 403; 409 somebody has it verified now, or it is too long to wait for; 503 no worker has
                told this door the key.
            SQLAlchemyError: the database does not answer, or does not take the record: nothing is told.
        """
        self._access.demand(asker)
        if not self._verifying.acquire(blocking=False):
            raise Problem(409, "verifying", "this door is verifying the trail already; ask again later")
        try:
            return self._verified(asker, address)
        finally:
            self._verifying.release()

    def _verified(self, asker: Caller, address: str) -> dict[str, Any]:
        try:
            key = self._proof.key()
        except NoPublicKeyError as error:
            raise Problem(503, "no_audit_key", str(error)) from error
        with self._access.reading() as connection:
            if trail.length(connection) > self._proof.most:
                words = f"more than {self._proof.most} entries: `dgis audit verify` reads them"
                raise Problem(409, "too_long", words)
            done = verify(connection, self._proof.fleet, key)
        found: dict[str, Json] = {"findings": len(done.findings), "forged": done.forged}
        with self._access.engine.begin() as connection:
            detail: dict[str, Json] = {"what": "verify", "door": "http", **found}
            read = Happening(Event.TRAIL, named(asker), address=address, detail=detail)
            trail.append(connection, self._writer, [read], self._access.clock_ms())
        return verified_json(done)


def routes(auditing: Auditing, logins: Logins) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", tags=["audit"])

    @router.get("/audit", responses=problems(403))
    def list_entries(
        request: Request,
        who: Annotated[Verified, Depends(logins.admit)],
        asked: Annotated[Asked, Query()],
    ) -> AuditPage:
        """List what happened, newest first."""
        return AuditPage.model_validate(auditing.page(caller_of(who), address_of(request), asked))

    @router.post("/audit/verify", responses=problems(403, 409))
    def verify_trail(request: Request, who: Annotated[Verified, Depends(logins.admit)]) -> AuditVerified:
        """Verify that nobody altered the trail; what is wrong with it is in the answer, which is 200."""
        return AuditVerified.model_validate(auditing.verified(caller_of(who), address_of(request)))

    return router
