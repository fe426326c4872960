"""Problem documents (RFC 9457): what went wrong and whose fault it is, nothing that is private."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from dgis.transactions import may_pass

MEDIA_TYPE = "application/problem+json"
FAILED = (500, "failed", "the gateway failed; its log says where")
AWAY = (503, "database-away", "the database does not answer now; ask again later")
_AGAIN_SECONDS = "5"


class Problem(Exception):  # noqa: N818 (it becomes an answer)
    """A refusal on its way out; `reason` is for programs, one word, `detail` for people.

    `recorded` says that the trail has it already; any other refusal is recorded as it leaves.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        *,
        recorded: bool = False,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers or {}
        self.recorded = recorded


def document(status: int, reason: str = "", detail: str = "") -> dict[str, object]:
    """Return a problem document; its type is the status alone ("about:blank", RFC 9457 4.2.1)."""
    said: dict[str, object] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return said | ({"reason": reason} if reason else {}) | ({"detail": detail} if detail else {})


def encoded(status: int, reason: str = "", detail: str = "") -> bytes:
    """Return a problem document as it is sent."""
    return json.dumps(document(status, reason, detail)).encode()


async def of_problem(request: Request, problem: Problem) -> Response:
    """Answer a `Problem`."""
    request.state.refusal = "" if problem.recorded else problem.reason
    said = document(problem.status, problem.reason, problem.detail)
    return JSONResponse(said, problem.status, dict(problem.headers), MEDIA_TYPE)


async def of_failure(_request: Request, _error: Exception) -> Response:
    """Answer where the gateway failed; `dgis.web.bounds` logs it."""
    return JSONResponse(document(*FAILED), FAILED[0], None, MEDIA_TYPE)


async def of_database(_request: Request, error: Exception) -> Response:
    """Answer where the database failed: 503 while it is away, which a client may try again."""
    if not may_pass(error):
        return JSONResponse(document(*FAILED), FAILED[0], None, MEDIA_TYPE)
    said = document(*AWAY)
    return JSONResponse(said, AWAY[0], {"Retry-After": _AGAIN_SECONDS}, MEDIA_TYPE)


async def of_http(_request: Request, error: HTTPException) -> Response:
    """Answer what the framework refuses: no such resource, a method that it has not."""
    return JSONResponse(document(error.status_code), error.status_code, error.headers, MEDIA_TYPE)


async def of_validation(request: Request, error: RequestValidationError) -> Response:
    """Answer a request that is not of the form asked for: where, and what is wrong, but not what was sent."""
    request.state.refusal = "malformed"
    found = [_where(one["loc"], one["type"]) for one in error.errors()]
    said = document(HTTPStatus.UNPROCESSABLE_ENTITY, "malformed", "; ".join(found[:10]))
    return JSONResponse(said, HTTPStatus.UNPROCESSABLE_ENTITY, None, MEDIA_TYPE)


def _where(location: tuple[int | str, ...], kind: str) -> str:
    # Names of fields that nobody knows are the client's own text.
    place = ".".join(map(str, location)) if kind != "extra_forbidden" else str(location[0])
    return f"{place}: {kind.replace('_', ' ')}"
