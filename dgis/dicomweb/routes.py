"""The resources of `/dicom-web` (PS3.18 10.1.1), each with what answers it."""

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from catalog.query import Level
from dgis.dicomweb import retrieve
from dgis.dicomweb.bulk import bulk_data, frames
from dgis.dicomweb.door import ROOT, WebDoor
from dgis.dicomweb.metadata import metadata
from dgis.dicomweb.search import search

Answer = Callable[[WebDoor, Request], Awaitable[Response]]

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"

_RESOURCES: dict[str, Answer] = {
    "/studies": partial(search, Level.STUDY),
    STUDY + "/series": partial(search, Level.SERIES),
    SERIES + "/instances": partial(search, Level.IMAGE),
    STUDY + "/instances": partial(search, Level.IMAGE),
    "/series": partial(search, Level.SERIES),
    "/instances": partial(search, Level.IMAGE),
    "/series/{series}/instances": partial(search, Level.IMAGE),
    STUDY + "/metadata": metadata,
    SERIES + "/metadata": metadata,
    INSTANCE + "/metadata": metadata,
    INSTANCE + "/frames/{frames}": frames,
    INSTANCE + "/bulkdata/{path:path}": bulk_data,
    STUDY: retrieve.instances,
    SERIES: retrieve.instances,
    INSTANCE: retrieve.instances,
}


def routes(door: WebDoor) -> APIRouter:
    """Return the routes; they are not among those that OpenAPI describes: the standard does."""
    router = APIRouter()
    for path, answer in _RESOURCES.items():
        router.add_route(ROOT + path, partial(_answered, answer, door), ["GET"], include_in_schema=False)
    return router


async def _answered(answer: Answer, door: WebDoor, request: Request) -> Response:
    return await answer(door, request)
