"""STOW-RS: storing over HTTP (PS3.18 10.5)."""

from http import HTTPStatus
from typing import Annotated, Any

from anyio import CancelScope, CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from catalog.callers import Caller, Right
from catalog.credentials.values import Verified
from dgis.dimse.uids import is_uid
from dgis.multipart.errors import MultipartError
from dgis.multipart.media import media_type
from dgis.stow import answer
from dgis.stow.body import Unsupported
from dgis.stow.outcomes import Kept
from dgis.stow.storing import StoreRequest, Storing
from dgis.web.logins import Logins, address_of, caller_of
from dgis.web.problems import MEDIA_TYPE, Problem

SERVICE = "/dicom-web"

_WRITING_AT_ONCE = 16  # threads that wait for the disk; a slow sender holds none
_RETRY_SECONDS = "2"
_ANSWERS = {
    200: "every instance is kept",
    202: "some are kept, others are not",
    409: "none is kept, and none will be",
}
_PROBLEMS = {
    400: "no such body, or no instance in it",
    401: "who asks is not proven",
    403: "the caller may not store",
    406: "no such form of answer",
    408: "the body did not arrive in time",
    413: "the body is longer than is taken",
    415: "no such form of body",
    503: "not now: too many at once, or no space",
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    **{
        status: {"description": words, "content": {answer.JSON: {}, answer.XML: {}}}
        for status, words in _ANSWERS.items()
    },
    **{status: {"description": words, "content": {MEDIA_TYPE: {}}} for status, words in _PROBLEMS.items()},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/dicom": {}, 'multipart/related; type="application/dicom"': {}},
    }
}


def routes(storing: Storing, logins: Logins, base_url: str | None) -> APIRouter:
    """Return the routes; `base_url` is how clients call the door, where that is known."""
    router = APIRouter(prefix=SERVICE, tags=["dicom-web"])
    limiter = CapacityLimiter(_WRITING_AT_ONCE)

    async def stored(request: Request, who: Verified, study_uid: str) -> Response:
        caller = caller_of(who)
        form = _admitted(request, caller)
        with storing.slots.take(who.name) as free:
            if not free:
                words = "too many requests store images now; send it again later"
                raise Problem(503, "busy", words, {"Retry-After": _RETRY_SECONDS})
            opened = _opened(storing, request, caller, study_uid)
            broken = await _received(opened, request, limiter)
        if broken is not None and not any(isinstance(each, Kept) for each in opened.outcomes):
            raise Problem(400, "malformed", str(broken))
        if not opened.outcomes:
            raise Problem(400, "empty", "the body brings no instance")
        service = (base_url or str(request.base_url)).rstrip("/") + SERVICE
        return await to_thread.run_sync(_answered, opened, form, service)

    @router.post("/studies", responses=_RESPONSES, response_class=Response, openapi_extra=_BODY)
    async def store(request: Request, who: Annotated[Verified, Depends(logins.admit)]) -> Response:
        """Store instances of any studies."""
        return await stored(request, who, "")

    @router.post("/studies/{study}", responses=_RESPONSES, response_class=Response, openapi_extra=_BODY)
    async def store_study(
        request: Request, study: str, who: Annotated[Verified, Depends(logins.admit)]
    ) -> Response:
        """Store instances of one study; those of others are refused."""
        if not is_uid(study):
            raise Problem(400, "malformed", "the path names no Study Instance UID")
        return await stored(request, who, study)

    return router


def _admitted(request: Request, caller: Caller) -> str:
    """Return the form of the answer, for who may store and says so in a way that can be answered."""
    if Right.STORE not in caller.may:
        raise Problem(403, "may_not_store", "this caller may not store")
    form = answer.wanted(request.headers.get("accept", ""))
    if form is None:
        raise Problem(406, "no_such_form", f"the answer is {answer.JSON} or {answer.XML}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "encoded", "bodies are taken as they are, without a content coding")
    return form


def _opened(storing: Storing, request: Request, caller: Caller, study_uid: str) -> StoreRequest:
    kind = media_type(request.headers.get("content-type", ""))
    try:
        return storing.open(caller, address_of(request), study_uid, kind)
    except Unsupported:
        words = 'instances come as application/dicom, alone or in multipart/related; type="application/dicom"'
        raise Problem(415, "no_such_media_type", words) from None
    except MultipartError as error:
        raise Problem(400, "malformed", str(error)) from None


async def _received(
    opened: StoreRequest, request: Request, limiter: CapacityLimiter
) -> MultipartError | None:
    """Receive the body, each piece in a thread: the next is asked for when the disk has taken the last.

    Raises:
        ClientDisconnect: the client is gone, or was too slow or too long; what is durable stays.
    """
    try:
        async for piece in request.stream():
            if piece:
                await to_thread.run_sync(opened.take, piece, limiter=limiter)
        await to_thread.run_sync(opened.finish, limiter=limiter)
    except MultipartError as error:
        return error
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(opened.close, limiter=limiter)
    return None


def _answered(opened: StoreRequest, form: str, service: str) -> Response:
    status = answer.status_of(opened.outcomes)
    said = answer.response(opened.outcomes, service)
    write = answer.as_xml if form == answer.XML else answer.as_json
    headers = {"Retry-After": _RETRY_SECONDS} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return Response(write(said), status, headers, form)
