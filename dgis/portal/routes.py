"""`/`: the page for people. A few files that hold no data; what they show they fetch as whoever looks."""

from importlib.resources import files
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from dgis.web.problems import Problem

_KINDS: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# Nothing from elsewhere, nothing in line, nowhere framed.
POLICY: Final = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_PAGE: Final = "index.html"


def routes() -> APIRouter:
    """Return the routes; the files are read once, by name, so that no path from outside opens one."""
    folder = files("dgis.portal") / "static"
    held = {each.name: each.read_bytes() for each in folder.iterdir() if _kind(each.name)}
    router = APIRouter(include_in_schema=False)

    def answer(name: str) -> Response:
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
        return Response(held[name], media_type=_kind(name), headers=headers)

    @router.get("/")
    def page() -> Response:
        return answer(_PAGE)

    @router.get("/portal/{name}")
    def file(name: str) -> Response:
        if name not in held:
            raise Problem(404, "not_found", "no such file")
        return answer(name)

    return router


def _kind(name: str) -> str:
    return _KINDS.get(name.rpartition(".")[2], "")
