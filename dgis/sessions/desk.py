"""Where a browser logs in and out: a form for accounts; nothing secret stands in an address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from anyio import to_thread
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.callers import PATTERN_FIELDS
from catalog.credentials import accounts
from catalog.credentials.shares import is_share
from catalog.credentials.values import Kind, Reason, Rejected, Verified
from catalog.release import named
from dgis.identity.requests import Presented, Session
from dgis.sessions import cookies, pages
from dgis.sessions.browsers import Browsers
from dgis.sessions.judging import AccountSessions
from dgis.sessions.origin import local_path
from dgis.sessions.values import New, SessionKind, owner_of
from dgis.web.logins import Logins, caller_of, presented_by
from dgis.web.problems import Problem

_LONGEST_NAME = 256
_SEE_OTHER = 303
_SHOWN = {Reason.LOCKED: Reason.UNKNOWN_ACCOUNT}  # that an account rests is not told
Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Recording:
    """The trail of the door, for what must be written before its answer leaves."""

    engine: sa.Engine
    writer: str
    clock_ms: Callable[[], int]

    def record(self, who: Verified | None, event: Event, address: str, detail: dict[str, Json]) -> None:
        """Write one entry.

        Raises:
            SQLAlchemyError: the database does not take it.
        """
        caller = "" if who is None else named(caller_of(who))
        happening = Happening(event, caller, address=address, detail={"door": "http", **detail})
        with self.engine.begin() as connection:
            trail.append(connection, self.writer, [happening], self.clock_ms())


@dataclass(frozen=True, slots=True)
class Desk:
    """Logs browsers in and out; `ways` are the names of the providers that may be chosen."""

    logins: Logins
    browsers: Browsers
    accounts: AccountSessions
    recording: Recording
    seconds: int
    ways: tuple[str, ...] = ()
    farewell: Callable[[Request, Mapping[str, str]], str | None] = field(default=lambda _request, _held: None)

    async def page(self, request: Request) -> Response:
        """Show who is logged in, or how to log in."""
        secret = self._secret(request)
        session = None if secret is None else await to_thread.run_sync(self.browsers.sessions.judged, secret)
        back = local_path(request.query_params.get("back", ""), pages.LOGIN_PATH)
        if not isinstance(session, Session):
            return pages.login(self.ways, back)
        said = session.proof.assertions
        stated = {name: said.values(name) for name in PATTERN_FIELDS if said.values(name)}
        return pages.welcome(stated, account=session.kind is Kind.PASSCODE)

    async def log_in(self, request: Request) -> Response:
        """Take name and passcode; a passcode that was made by the gateway must be changed first."""
        form = await self._form(request)
        name, back = form.get("name", ""), local_path(form.get("back", ""), pages.LOGIN_PATH)
        judged = await self._passcode(request, form)
        if isinstance(judged, Verified):
            known = await to_thread.run_sync(self.accounts.find, judged.name)
            if known is not None:
                return await self.entered(request, judged, self.accounts.new(known, self.seconds), back)
            judged = Rejected(Reason.UNKNOWN_ACCOUNT)
        if judged.reason is Reason.ONE_TIME:
            return pages.change(name, back)
        return pages.login(self.ways, back, _words(judged), 401)

    async def change(self, request: Request) -> Response:
        """Take another passcode from who knows the one until now; every session of the account ends."""
        form = await self._form(request)
        name, back = form.get("name", ""), local_path(form.get("back", ""), pages.LOGIN_PATH)
        new = form.get("new", "")
        if new != form.get("again") or not new or new == form.get("passcode"):
            return pages.change(name, back, "type another passcode, the same one twice", 400)
        judged = await self._passcode(request, form, changing=True)
        if isinstance(judged, Rejected):
            return pages.change(name, back, _words(judged), 401)
        try:
            await to_thread.run_sync(self._changed, judged, new, _address(request))
        except ValueError as error:
            return pages.change(name, back, str(error), 400)
        known = await to_thread.run_sync(self.accounts.find, judged.name)
        if known is None:
            return pages.login(self.ways, back, Reason.UNKNOWN_ACCOUNT.value, 401)
        return await self.entered(request, judged, self.accounts.new(known, self.seconds), back)

    async def enter_share(self, request: Request) -> Response:
        """Take the token of a share link, and open a session for its bearer."""
        form = await self._form(request)
        address, token = _address(request), form.get("token", "").strip()
        self.logins.check_refusals(address)
        judged = (
            await self.logins.token(token, encrypted=self._encrypted(request))
            if is_share(token.encode())
            else Rejected(Reason.MALFORMED)
        )
        if isinstance(judged, Rejected):
            self.logins.refused(judged, address, "share")
            return pages.share(judged.reason.value, 401)
        said = judged.assertions
        new = New(SessionKind.SHARE, owner_of(said.issuer, said.user), {"token": token}, self.seconds)
        return await self.entered(request, judged, new, pages.LOGIN_PATH)

    async def entered(self, request: Request, who: Verified, new: New, back: str) -> Response:
        """Open a session for whoever has proven to be somebody, in the place of one before it."""
        before, secure = self._secret(request), self.browsers.secure(request)
        address = _address(request)
        kind = f"session by {new.kind}"

        def opened() -> str:
            self.recording.record(who, Event.LOGIN, address, {"kind": kind, "what": "login"})
            return self.browsers.sessions.store.open(new, before)

        secret = await to_thread.run_sync(opened)
        response = RedirectResponse(back, _SEE_OTHER)
        cookies.give(response, cookies.SESSION, secret, secure=secure)
        return response

    async def log_out(self, request: Request) -> Response:
        """End the session of this browser, or all of its owner's; the provider's own is a link away."""
        form = await self._form(request)
        secret = self._secret(request)
        further = None
        if secret is not None:
            everywhere = form.get("everywhere") == "yes"
            held = await to_thread.run_sync(self._ended, secret, everywhere, _address(request))
            further = self.farewell(request, held)
        response = pages.goodbye(further)
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        cookies.drop(response, cookies.SESSION, secure=self.browsers.secure(request))
        return response

    def _ended(self, secret: str, everywhere: bool, address: str) -> Mapping[str, str]:  # noqa: FBT001 (one of a form's fields)
        sessions = self.browsers.sessions
        found, judged = sessions.store.find(secret), sessions.judged(secret)
        if found is None:
            return {}
        who = judged.proof if isinstance(judged, Session) else None
        ended = sessions.store.end_all(found.owner) if everywhere else int(sessions.store.end(secret))
        kind = f"session by {found.kind}"
        self.recording.record(who, Event.LOGIN, address, {"kind": kind, "what": "logout", "sessions": ended})
        return found.held if found.kind is SessionKind.OIDC else {}

    def _changed(self, who: Verified, new: str, address: str) -> None:
        """Change a passcode; its commit ends every session of the account, for they are bound to it."""
        recording = self.recording
        happening = Happening(
            Event.ACCOUNT,
            named(caller_of(who)),
            address=address,
            detail={"door": "http", "what": "passcode", "account": who.name},
        )
        with recording.engine.begin() as connection:
            accounts.change_passcode(connection, who.name, new)
            trail.append(connection, recording.writer, [happening], recording.clock_ms())

    async def _passcode(
        self, request: Request, form: Fields, *, changing: bool = False
    ) -> Verified | Rejected:
        self.logins.check_refusals(_address(request))
        name = form.get("name", "")
        if not self._encrypted(request):
            judged: Verified | Rejected = Rejected(Reason.NEEDS_TLS)
        elif len(name) > _LONGEST_NAME:
            judged = Rejected(Reason.TOO_LONG)
        else:
            judged = await self.logins.passcode(name, form.get("passcode", ""), changing=changing)
        if isinstance(judged, Rejected) and judged.reason is not Reason.ONE_TIME:
            self.logins.refused(judged, _address(request), "form")
        return judged

    def _encrypted(self, request: Request) -> bool:
        presented = presented_by(request)
        near = isinstance(presented, Presented) and presented.encrypted
        return near or self.browsers.secure(request)

    async def _form(self, request: Request) -> Fields:
        self.browsers.check_origin(request)
        form: Mapping[str, Any] = await request.form(max_files=0, max_fields=16)
        return {name: value for name, value in form.items() if not isinstance(value, UploadFile)}

    def _secret(self, request: Request) -> str | None:
        return cookies.read(request, cookies.SESSION, secure=self.browsers.secure(request))


def _words(refused: Rejected) -> str:
    return _SHOWN.get(refused.reason, refused.reason).value


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def not_found() -> Problem:
    """Return the answer where there is no such page."""
    return Problem(404, "not_found", "there is no such page")
