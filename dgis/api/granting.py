"""`/api/grants`: who may do what with what, until when; for who administers the grid."""

from typing import Annotated, Any, NoReturn, Self

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from catalog import grants
from catalog.audit import trail
from catalog.audit.values import Event, Happening
from catalog.callers import LONGEST_VALUE, Caller, Right, is_assertable
from catalog.credentials.values import Verified
from catalog.grants import FOR_EVER_MS, Grant, What, Who
from catalog.release import named
from dgis.api.access import Access
from dgis.api.models import GrantDocument
from dgis.api.problems import problems
from dgis.api.text import PRINTABLE
from dgis.erasure.held import Names
from dgis.erasure.subject import NobodyMeant
from dgis.granting import acts
from dgis.granting.acts import Actor, NotDone
from dgis.granting.subjects import Directory
from dgis.granting.words import grant_json
from dgis.web.logins import Logins, address_of, caller_of
from dgis.web.problems import Problem

_Value = Annotated[str, Field(min_length=1, max_length=LONGEST_VALUE, pattern=PRINTABLE)]
_Uid = Annotated[str, Field(max_length=64, pattern=r"^[0-9]+(\.[0-9]+)*$")]
_GrantId = Annotated[int, Path(ge=1, lt=1 << 63, description="as the list says")]


class WhoIs(BaseModel):
    """What a caller must assert, all of it; nothing: anyone who is admitted."""

    model_config = ConfigDict(extra="forbid")

    issuer: _Value | None = None
    user: _Value | None = None
    department: _Value | None = None
    institution: _Value | None = None
    role: _Value | None = None
    purpose: _Value | None = None

    @model_validator(mode="after")
    def _is_assertable(self) -> Self:
        if not all(is_assertable(value or "") for value in self.model_dump().values()):
            raise ValueError("a value has no characters of control")
        return self


class WhatIs(BaseModel):
    """What it is on; nothing: everything. A patient is named by pseudonym, a study or series by any UID."""

    model_config = ConfigDict(extra="forbid")

    facility: _Value | None = None
    contributor_id: Annotated[int, Field(ge=1, lt=1 << 63)] | None = None
    patient: _Value | None = None
    study: _Uid | None = None
    series: _Uid | None = None


class GrantWanted(BaseModel):
    """A grant to be given (or, with `effect` deny, a denial, which wins)."""

    model_config = ConfigDict(extra="forbid")

    who: WhoIs
    what: WhatIs
    may: Annotated[frozenset[Right], Field(min_length=1)]
    effect: Annotated[str, Field(pattern="^(allow|deny)$")] = "allow"
    from_ms: Annotated[int, Field(ge=0, le=FOR_EVER_MS)] = 0
    until_ms: Annotated[int, Field(ge=1, le=FOR_EVER_MS)] | None = None
    reason: Annotated[
        str, Field(min_length=1, max_length=1000, pattern=PRINTABLE, description="let it name no patient")
    ]


class Granting:
    """Gives and ends grants for administrators; each act and its record are one transaction."""

    def __init__(self, access: Access, writer: str) -> None:
        self._access = access
        self._writer = writer

    def every(self, caller: Caller, address: str, *, ended: bool) -> list[dict[str, Any]]:
        """Return the grants, oldest first; those that have ended only where asked for.

        Raises:
            Problem: 403.
        """
        self._access.demand(caller)
        now_ms = self._access.clock_ms()
        detail = {"door": "http", "how": "grants"}
        looked = Happening(Event.QUERY, named(caller), address=address, detail=dict(detail))
        with self._access.engine.begin() as connection:
            found = list(grants.every(connection))
            trail.append(connection, self._writer, [looked], now_ms)
        return [grant_json(each, now_ms) for each in found if ended or each.not_after_ms > now_ms]

    def give(self, caller: Caller, address: str, wanted: GrantWanted) -> dict[str, Any]:
        """Write a grant and return it.

        Raises:
            Problem: 403; 409 where it cannot be given, 404 where it names nothing that is here.
        """
        self._access.demand(caller)
        actor = self._actor(caller, address)
        with self._access.engine.begin() as connection:
            try:
                grant = _grant(connection, wanted)
                (given,) = acts.give(connection, actor, grant)
            except NobodyMeant as error:
                raise Problem(404, "nothing_meant", str(error)) from None
            except (NotDone, ValueError) as error:
                raise Problem(409, "not_done", str(error)) from None
        return grant_json(given, actor.now_ms)

    def revoke(self, caller: Caller, address: str, grant_id: int) -> None:
        """End a grant now.

        Raises:
            Problem: 403; 409 where none of that number is in force or to come, or the configuration gives it.
        """
        self._access.demand(caller)
        with self._access.engine.begin() as connection:
            try:
                acts.revoke(connection, self._actor(caller, address), grant_id)
            except NotDone as error:
                raise Problem(409, "not_done", str(error)) from None

    def _actor(self, caller: Caller, address: str) -> Actor:
        return Actor(named(caller), self._writer, self._access.clock_ms(), address)


def _grant(connection: sa.Connection, wanted: GrantWanted) -> Grant:
    until_ms = FOR_EVER_MS if wanted.until_ms is None else wanted.until_ms
    who, allow = Who(**wanted.who.model_dump()), wanted.effect == "allow"
    what = _what(connection, wanted.what)
    return Grant(who, what, wanted.may, allow, wanted.from_ms, until_ms, reason=wanted.reason)


def _what(connection: sa.Connection, named_by: WhatIs) -> What:
    directory = Directory(connection, _no_originals)
    patient = None if named_by.patient is None else directory.patient(named_by.patient)
    contributor_id = named_by.contributor_id
    if contributor_id is not None:
        contributor_id = directory.contributor(contributor_id)
    if named_by.study is not None and named_by.series is not None:
        raise ValueError("a series is in one study: name the study or the series")
    if named_by.study is not None or named_by.series is not None:
        look = directory.series if named_by.series is not None else directory.study
        found = look(named_by.series or named_by.study or "", patient)
        return What(named_by.facility, contributor_id, found.patient_key, found.study_key, found.series_key)
    facility = None if named_by.facility is None else directory.facility(named_by.facility)
    return What(facility, contributor_id, patient)


def _no_originals() -> Names:
    _refuse()


def _refuse() -> NoReturn:
    raise NobodyMeant("over HTTP a patient is named by pseudonym: this door has no secret to find one by")


def routes(granting: Granting, logins: Logins) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/grants", tags=["grants"])
    admitted = Annotated[Verified, Depends(logins.admit)]

    @router.get("", responses=problems(403))
    def list_grants(
        request: Request,
        who: admitted,
        *,
        ended: Annotated[bool, Query(description="also what has ended")] = False,
    ) -> list[GrantDocument]:
        """List the grants, oldest first."""
        found = granting.every(caller_of(who), address_of(request), ended=ended)
        return [GrantDocument.model_validate(each) for each in found]

    @router.post("", status_code=201, responses=problems(403, 404, 409))
    def give(request: Request, who: admitted, wanted: GrantWanted) -> GrantDocument:
        """Give rights to whoever asserts what is named, or deny them."""
        return GrantDocument.model_validate(granting.give(caller_of(who), address_of(request), wanted))

    @router.delete("/{grant_id}", status_code=204, responses=problems(403, 409))
    def revoke(request: Request, who: admitted, grant_id: _GrantId) -> None:
        """End a grant now; one that has not begun is taken out."""
        granting.revoke(caller_of(who), address_of(request), grant_id)

    return router
