"""The application of the web door: its routes, and how failures become problem documents."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from dgis.web import problems
from dgis.web.bounds import Bounds, Refused
from dgis.web.limits import Limits


def application(routers: Sequence[APIRouter], limits: Limits, refused: Refused) -> ASGIApp:
    """Return the ASGI application; `refused` is told of requests that nothing else records."""
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
    return Bounds(inner, limits, refused)
