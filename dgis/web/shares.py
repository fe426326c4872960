"""`/api/shares`: who holds `share` on a study lets others see it by a token, as far as they do themselves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, NoReturn

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from catalog.callers import Caller, Right
from catalog.credentials import shares
from catalog.credentials.shares import LONGEST_DAYS, Share, Wanted
from catalog.credentials.values import Verified
from catalog.release import named
from dgis.erasure.subject import NobodyMeant
from dgis.explain import Operation, explain
from dgis.granting import sharing
from dgis.granting.acts import Actor, NotDone
from dgis.granting.subjects import Directory
from dgis.web.logins import Logins, address_of, caller_of
from dgis.web.problems import Problem

_DAY_MS = 86_400_000
_USUAL = frozenset({Right.FIND, Right.RETRIEVE})
_NOT_YOURS = "not a study that you may share, or not as far as that"


class ShareWanted(BaseModel):
    """What is to be shared: a study, by original UID or pseudonym; what its bearer may; for how many days."""

    model_config = ConfigDict(extra="forbid")

    study: Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]
    may: frozenset[Right] = _USUAL
    days: Annotated[int, Field(gt=0, le=LONGEST_DAYS, strict=True)] = 7
    reason: Annotated[str, Field(max_length=256, description="shown by explanations; names no patient")] = ""


class ShareDocument(BaseModel):
    """A share; times are epoch milliseconds. `token` is what its bearer presents: told once."""

    id: str
    may: list[str]
    made_ms: int
    until_ms: int
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """Makes and takes back shares at one door, recorded by `writer` in the same transaction."""

    engine: sa.Engine
    writer: str
    clock_ms: Callable[[], int]

    def every(self, who: Caller) -> list[ShareDocument]:
        """Return what somebody has shared."""
        with self.engine.execution_options(read_only=True).connect() as connection:
            return [_document(one) for one in shares.every(connection, named(who))]

    def add(self, who: Caller, address: str, wanted: ShareWanted) -> ShareDocument:
        """Make a share, in the transaction that finds the sharer to hold all of what is shared.

        Raises:
            Problem: 403 where that is not so, or there is no such study: both are answered alike; 400 where
                that cannot be shared so.
        """
        now_ms = self.clock_ms()
        actor = Actor(named(who), self.writer, now_ms, address)
        with self.engine.begin() as connection:
            if not all(
                _holds(connection, who, each, wanted.study, now_ms) for each in _operations(wanted.may)
            ):
                raise Problem(403, "not_shared", _NOT_YOURS)
            try:
                what = Directory(connection, _no_names).study(wanted.study)
                until_ms = now_ms + wanted.days * _DAY_MS
                asked = Wanted(what, wanted.may, until_ms, wanted.reason)
                made, token = sharing.share(connection, actor, asked)
            except NobodyMeant:
                raise Problem(403, "not_shared", _NOT_YOURS) from None
            except NotDone as error:
                raise Problem(400, "not_made", str(error)) from None
        return _document(made).model_copy(update={"token": token})

    def withdraw(self, who: Caller, address: str, share_id: str) -> None:
        """Take back what one has shared.

        Raises:
            Problem: 404 where one has no such share.
        """
        actor = Actor(named(who), self.writer, self.clock_ms(), address)
        with self.engine.begin() as connection:
            try:
                sharing.withdraw(connection, actor, share_id, named(who))
            except NotDone:
                raise Problem(404, "no_share", "you have no share of that id") from None


def routes(shares_of: Shares, logins: Logins) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/shares", tags=["access"])
    admitted = Annotated[Verified, Depends(logins.admit)]

    @router.get("", response_model_exclude_none=True)
    def every(who: admitted) -> list[ShareDocument]:
        """List what one has shared oneself."""
        return shares_of.every(caller_of(who))

    @router.post("", status_code=201, response_model_exclude_none=True)
    def add(request: Request, who: admitted, wanted: ShareWanted) -> ShareDocument:
        """Share a study; the token is told this once."""
        return shares_of.add(caller_of(who), address_of(request), wanted)

    @router.delete("/{share_id}", status_code=204)
    def withdraw(request: Request, who: admitted, share_id: Annotated[str, Path(max_length=64)]) -> None:
        """Take a share back; the next request with its token is refused."""
        shares_of.withdraw(caller_of(who), address_of(request), share_id)

    return router


def _operations(may: frozenset[Right]) -> Iterator[Operation]:
    """Yield what a sharer must hold itself; an original UID names originals, and `phi` asks for them."""
    original = True if Right.PHI in may else None
    for right in sorted((may | {Right.SHARE}) - {Right.PHI}, key=lambda each: each.value):
        yield Operation(right, original)


def _holds(connection: sa.Connection, who: Caller, operation: Operation, study: str, now_ms: int) -> bool:
    """Whether somebody may do something with the whole of a study; of no study nothing is held."""
    told = explain(connection, who, operation, study, now_ms)
    decided = [line.holds for line in told.steps if line.right is not None]
    return told.granted and bool(decided) and all(decided)


def _no_names() -> NoReturn:
    raise NobodyMeant("a study is named by its UID")


def _document(one: Share) -> ShareDocument:
    may = sorted(right.value for right in one.may)
    return ShareDocument(id=one.id, may=may, made_ms=one.made_ms, until_ms=one.until_ms)
