"""`/api/tokens`: tokens of one's own account, for scripts; who has only a token makes no other."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.callers import LONGEST_VALUE, Right
from catalog.credentials import opaque
from catalog.credentials.opaque import LONGEST_DAYS, ApiToken, Wanted
from catalog.credentials.values import Verified
from catalog.release import named
from dgis.web.logins import Logins, address_of, caller_of
from dgis.web.problems import Problem

_USUAL = frozenset({Right.FIND, Right.RETRIEVE})


class TokenWanted(BaseModel):
    """A token to be made: what it is for, the most it may, the days it lives."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(max_length=LONGEST_VALUE)] = ""
    may: frozenset[Right] = _USUAL
    days: Annotated[int, Field(gt=0, le=LONGEST_DAYS, strict=True)] = 90


class TokenDocument(BaseModel):
    """A token; times are epoch milliseconds. `token` is what is presented: told once, when it is made."""

    id: str
    label: str
    may: list[str]
    made_ms: int
    until_ms: int
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Makes and takes away tokens at one door, recorded by `writer` in the same transaction."""

    engine: sa.Engine
    writer: str
    clock_ms: Callable[[], int]

    def every(self, who: Verified) -> list[TokenDocument]:
        """Return the tokens of an account."""
        with self.engine.execution_options(read_only=True).connect() as connection:
            return [_document(one) for one in opaque.every(connection, who.name)]

    def add(self, who: Verified, address: str, wanted: TokenWanted) -> TokenDocument:
        """Make a token.

        Raises:
            Problem: 400 where the account may less than is wanted.
        """
        asked = Wanted(who.name, wanted.label, wanted.may, wanted.days)
        with self.engine.begin() as connection:
            try:
                made, secret = opaque.add(connection, asked, self.clock_ms())
            except ValueError as error:
                raise Problem(400, "not_made", str(error)) from None
            self._record(connection, who, address, "token", made)
        return _document(made).model_copy(update={"token": secret})

    def revoke(self, who: Verified, address: str, token_id: str) -> None:
        """Take a token of an account away.

        Raises:
            Problem: 404 where it has no such token.
        """
        with self.engine.begin() as connection:
            was = opaque.revoke(connection, token_id, who.name)
            if was is None:
                raise Problem(404, "no_token", "this account has no token of that id")
            self._record(connection, who, address, "token-revoked", was)

    def _record(
        self, connection: sa.Connection, who: Verified, address: str, what: str, token: ApiToken
    ) -> None:
        detail: dict[str, Json] = {
            "door": "http",
            "what": what,
            "account": token.account,
            "token": token.id,
            "may": [*_words(token.may)],
        }
        happening = Happening(Event.ACCOUNT, named(caller_of(who)), address=address, detail=detail)
        trail.append(connection, self.writer, [happening], self.clock_ms())


def routes(tokens: Tokens, logins: Logins) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/tokens", tags=["identity"])
    account = Annotated[Verified, Depends(logins.admit_account)]

    @router.get("", response_model_exclude_none=True)
    def every(who: account) -> list[TokenDocument]:
        """List the tokens of one's own account."""
        return tokens.every(who)

    @router.post("", status_code=201, response_model_exclude_none=True)
    def add(request: Request, who: account, wanted: TokenWanted) -> TokenDocument:
        """Make a token; what is presented later is told this once."""
        return tokens.add(who, address_of(request), wanted)

    @router.delete("/{token_id}", status_code=204)
    def revoke(request: Request, who: account, token_id: Annotated[str, Path(max_length=64)]) -> None:
        """Take a token away; the next request with it is refused."""
        tokens.revoke(who, address_of(request), token_id)

    return router


def _document(one: ApiToken) -> TokenDocument:
    return TokenDocument(
        id=one.id, label=one.label, may=_words(one.may), made_ms=one.made_ms, until_ms=one.until_ms
    )


def _words(may: Iterable[Right]) -> list[str]:
    return sorted(right.value for right in may)
