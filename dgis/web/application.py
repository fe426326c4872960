"""The application of the web door: its routes, and how failures become problem documents."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from dgis.web import problems
from dgis.web.bounds import Bounds, Refused
from dgis.web.direct import Direct
from dgis.web.limits import Limits
from dgis.web.rates import Buckets

_CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_CORS_FIELDS = ("Authorization", "Content-Type", "Accept", "Range")
_CORS_SHOWN = ("Content-Range", "Accept-Ranges", "Content-Location", "Location", "Retry-After", "Warning")
_CORS_SECONDS = 600


def application(
    routers: Sequence[APIRouter],
    limits: Limits,
    refused: Refused,
    addresses: Buckets | None = None,
    origins: Sequence[str] = (),
) -> ASGIApp:
    """Return the ASGI application.

    Args:
        routers: what it answers.
        limits: of a request.
        refused: is told of requests that nothing else records.
        addresses: how often an address may ask.
        origins: whose pages may ask from a browser, with a token, never with a cookie of this door.
    """
    inner = FastAPI(
        title="DGIS",
        openapi_url="/api/openapi.json",
        docs_url=None,  # the usual page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            problems.Problem: problems.of_problem,
            HTTPException: problems.of_http,
            RequestValidationError: problems.of_validation,
            DBAPIError: problems.of_database,
            Exception: problems.of_failure,
        },
    )
    for router in routers:
        inner.include_router(router)
    plain = [route for router in routers for route in router.routes if type(route) is Route]
    door: ASGIApp = Direct(inner, plain)
    if origins:
        door = CORSMiddleware(
            door,
            allow_origins=list(origins),
            allow_methods=list(_CORS_METHODS),
            allow_headers=list(_CORS_FIELDS),
            expose_headers=list(_CORS_SHOWN),
            max_age=_CORS_SECONDS,
        )
    return Bounds(door, limits, refused, addresses)
