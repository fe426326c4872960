"""`/login`, `/logout`, `/share`: the routes of the pages around a login."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from dgis.sessions import pages
from dgis.sessions.desk import Desk, not_found
from dgis.sessions.origin import local_path

_KEPT = {"Cache-Control": "max-age=3600"}  # style and icon are the same for everybody


def routes(desk: Desk) -> APIRouter:
    """Return the routes; they are for people, and no part of the described interface."""
    router = APIRouter(include_in_schema=False)

    @router.get(pages.LOGIN_PATH)
    async def page(request: Request) -> Response:
        return await desk.page(request)

    @router.post(pages.LOGIN_PATH)
    async def log_in(request: Request) -> Response:
        return await desk.log_in(request)

    @router.get("/login/passcode")
    async def passcode(request: Request) -> Response:
        return pages.change("", local_path(request.query_params.get("back", ""), pages.LOGIN_PATH))

    @router.post("/login/passcode")
    async def change(request: Request) -> Response:
        return await desk.change(request)

    @router.get("/share")
    async def share() -> Response:
        return pages.share()

    @router.post("/share")
    async def enter(request: Request) -> Response:
        return await desk.enter_share(request)

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        return await desk.log_out(request)

    @router.get("/login/{name}")
    async def file(name: str) -> Response:
        if name not in pages.FILES:
            raise not_found()
        return Response(pages.file(name), media_type=pages.FILES[name], headers=_KEPT)

    return router
