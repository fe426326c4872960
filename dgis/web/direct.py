"""The short way: what reads images is answered without the layers that other requests need.

A viewer asks hundreds of times for one study. Finding the route among those of every router, and FastAPI's
layers around it, are a thousand calls a request; a plain route uses nothing of them.
"""

from collections.abc import Iterable

from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dgis.web import problems


class Direct:
    """An ASGI application around another one: some routes it answers itself, all else goes on.

    Args:
        inner: answers everything else, also other methods of the same paths.
        routes: whose endpoints take a request and return a response; failures become the same problem
            documents as in `inner`, what nobody expects goes on to whoever calls.
    """

    def __init__(self, inner: ASGIApp, routes: Iterable[Route]) -> None:
        self._inner = inner
        self._routes = tuple((route.path_regex.match, route) for route in routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        route = self._route(scope)
        if route is None:
            await self._inner(scope, receive, send)
            return
        request = Request(scope, receive, send)
        response = await _answer(route, request)
        await response(scope, receive, send)

    def _route(self, scope: Scope) -> Route | None:
        """Return the route of a request, its parameters put into the scope; None: it is none of these."""
        if scope["type"] != "http":
            return None
        path = scope["path"]
        for fits, route in self._routes:
            if fits(path):
                match, further = route.matches(scope)
                if match is Match.FULL:
                    scope.update(further, route=route)
                    return route
        return None


async def _answer(route: Route, request: Request) -> Response:
    try:
        answer: Response = await route.endpoint(request)
    except problems.Problem as problem:
        return await problems.of_problem(request, problem)
    except HTTPException as error:
        return await problems.of_http(request, error)
    except DBAPIError as error:
        return await problems.of_database(request, error)
    return answer
