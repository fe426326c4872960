"""`/api/audit`: the trail, for who administers the grid; that it was read is an entry of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from catalog.audit import trail
from catalog.audit.values import Event, Happening
from catalog.callers import Caller
from catalog.credentials.values import Verified
from catalog.release import named
from dgis.api.access import Access
from dgis.api.models import AuditPage
from dgis.api.paging import Cursor, Limit, read_cursor, write_cursor
from dgis.api.problems import problems
from dgis.api.text import PRINTABLE
from dgis.trail.words import entry_json
from dgis.web.logins import Logins, address_of, caller_of


class Asked(BaseModel):
    """Which entries are asked for."""

    model_config = ConfigDict(extra="forbid")

    event: Event | None = None
    caller: Annotated[
        str | None, Field(max_length=600, pattern=PRINTABLE, description="the whole name, as entries have it")
    ] = None
    after: Cursor = None
    limit: Limit = 100


class Auditing:
    """Reads the trail; what is read and the record of it are one transaction."""

    def __init__(self, access: Access, writer: str) -> None:
        self._access = access
        self._writer = writer

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

    return router
