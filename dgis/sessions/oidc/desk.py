"""Where a browser goes to a provider, and comes back with a code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from catalog.credentials.values import Reason, Rejected
from dgis.sessions import cookies, pages
from dgis.sessions.desk import Desk, not_found
from dgis.sessions.oidc import flow
from dgis.sessions.oidc.fetching import ProviderAway
from dgis.sessions.oidc.flow import CALLBACK_PATH, Begun
from dgis.sessions.oidc.provider import Proven, Provider
from dgis.sessions.origin import local_path
from dgis.sessions.values import New, SessionKind, owner_of
from dgis.web.logins import address_of

_LOGIN_SECONDS = 600
_SEE_OTHER = 303
_AWAY = "the provider does not answer now; try again later"


@dataclass(frozen=True, slots=True)
class ProviderDesk:
    """Sends browsers to providers and takes them back; the rest of a login is the desk's."""

    desk: Desk
    providers: Sequence[Provider]

    async def leave(self, request: Request, number: int) -> Response:
        """Send a browser to a provider; what the answer must fit stays here, and a cookie opens it."""
        if not 0 <= number < len(self.providers):
            raise not_found()
        provider, browsers = self.providers[number], self.desk.browsers
        back = local_path(request.query_params.get("back", ""), pages.LOGIN_PATH)
        try:
            metadata = await to_thread.run_sync(provider.metadata)
        except ProviderAway:
            return pages.login(self.desk.ways, back, _AWAY, 503)
        begun = Begun(provider.client.issuer, browsers.base(request) + CALLBACK_PATH, back)
        new = New(SessionKind.LOGIN, "", begun.held(), _LOGIN_SECONDS)
        secret = await to_thread.run_sync(browsers.sessions.store.open, new)
        response = RedirectResponse(begun.address(provider.client, metadata), _SEE_OTHER)
        cookies.give(response, cookies.LOGIN, secret, secure=browsers.secure(request))
        return response

    async def back(self, request: Request) -> Response:
        """Take a browser back; what it brings counts once, and in the browser that left."""
        secure = self.desk.browsers.secure(request)
        secret = cookies.read(request, cookies.LOGIN, secure=secure)
        answer = request.query_params.multi_items()
        try:
            proven, back = await to_thread.run_sync(self._proven, secret, answer)
        except ProviderAway:
            response: Response = pages.login(self.desk.ways, pages.LOGIN_PATH, _AWAY, 503)
        else:
            if isinstance(proven, Rejected):
                self.desk.logins.refused(proven, address_of(request), "oidc")
                response = pages.login(self.desk.ways, back, proven.reason.value, 401)
            else:
                said = proven.who.assertions
                owner = owner_of(said.issuer, said.user)
                new = New(SessionKind.OIDC, owner, proven.held, self.desk.seconds)
                response = await self.desk.entered(request, proven.who, new, back)
        cookies.drop(response, cookies.LOGIN, secure=secure)
        return response

    def _proven(self, secret: str | None, answer: Sequence[tuple[str, str]]) -> tuple[Proven | Rejected, str]:
        store = self.desk.browsers.sessions.store
        found = None if secret is None else store.take(secret, SessionKind.LOGIN)
        if found is None:
            return Rejected(Reason.STATE), pages.LOGIN_PATH
        begun = Begun(**found.held)
        provider = next((one for one in self.providers if one.client.issuer == begun.issuer), None)
        if provider is None:
            return Rejected(Reason.UNKNOWN_ISSUER), begun.back
        code = begun.code_in(answer, provider.metadata())
        return code if isinstance(code, Rejected) else provider.finish(begun, code), begun.back


def farewell(providers: Sequence[Provider], back: str, held: Mapping[str, str]) -> str | None:
    """Return where the provider of a session that has ended ends its own."""
    for provider in providers:
        metadata = provider.metadata.last()
        if provider.client.issuer == held.get("issuer") and metadata is not None:
            return flow.farewell(provider.client, metadata, back)
    return None


def routes(desk: ProviderDesk) -> APIRouter:
    """Return the routes; they are for people, and no part of the described interface."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login/with/{number}")
    async def leave(request: Request, number: int) -> Response:
        return await desk.leave(request, number)

    @router.get(CALLBACK_PATH)
    async def back(request: Request) -> Response:
        return await desk.back(request)

    return router
