"""`/api/series/{key}/publish`: at once, for who administers the grid."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from catalog.audit import trail
from catalog.audit.values import Event, Happening
from catalog.callers import Caller
from catalog.credentials.values import Verified
from catalog.release import named
from dgis.api.access import Access
from dgis.api.problems import problems
from dgis.publisher.hasten import hasten
from dgis.web.logins import Logins, address_of, caller_of
from dgis.web.problems import Problem

_Key = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$", description="the series' pseudonym")]


class Publishing:
    """Makes series due; the worker publishes them."""

    def __init__(self, access: Access, gateway_id: str) -> None:
        self._access = access
        self._gateway_id = gateway_id

    def publish(self, caller: Caller, address: str, key: str) -> None:
        """Make a series due now.

        Raises:
            Problem: 403; 409 where nothing of it waits in this gateway.
        """
        self._access.demand(caller)
        now_ms = self._access.clock_ms()
        with self._access.engine.begin() as connection:
            if not hasten(connection, self._gateway_id, key, now_ms):
                raise Problem(409, "nothing_waits", "nothing of that series waits in this gateway")
            detail = {"what": "publish now", "door": "http", "series": key}
            asked = Happening(Event.CONFIGURATION, named(caller), address=address, detail=dict(detail))
            trail.append(connection, f"{self._gateway_id}/web", [asked], now_ms)


def routes(publishing: Publishing, logins: Logins) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api", tags=["grid"])

    @router.post("/series/{key}/publish", status_code=204, responses=problems(403, 409))
    def publish(request: Request, who: Annotated[Verified, Depends(logins.admit)], key: _Key) -> None:
        """Publish a series at once; how far it is, the series itself says."""
        publishing.publish(caller_of(who), address_of(request), key)

    return router
