"""`/api/caller`: who the gateway takes a client for."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from catalog.callers import PATTERN_FIELDS
from catalog.credentials.values import Verified
from dgis.web.logins import Logins


class CallerDocument(BaseModel):
    """What was proven about a caller, and the most that it may do; grants decide within that."""

    name: str
    assertions: dict[str, list[str]]
    may: list[str]


def routes(logins: Logins) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", tags=["identity"])

    @router.get("/caller")
    async def caller(who: Annotated[Verified, Depends(logins.admit)]) -> CallerDocument:
        """Say who asks."""
        said = who.assertions
        stated = {name: list(said.values(name)) for name in PATTERN_FIELDS}
        for name, value in said.extra:
            if name not in PATTERN_FIELDS:
                stated.setdefault(name, []).append(value)
        known = {name: values for name, values in stated.items() if values}
        return CallerDocument(name=who.name, assertions=known, may=sorted(right.value for right in who.may))

    return router
