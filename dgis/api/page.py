"""`/api/docs`: the description of the routes as a page that loads nothing and runs nothing."""

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

_METHODS = ("get", "post", "put", "delete")


def routes() -> APIRouter:
    """Return the route; like the description itself it is open."""
    router = APIRouter(prefix="/api", include_in_schema=False)

    @router.get("/docs")
    def docs(request: Request) -> HTMLResponse:
        return HTMLResponse("".join(_page(request.app.openapi())))

    return router


def _page(described: dict[str, Any]) -> Iterator[str]:
    yield "<!DOCTYPE html><html lang=en><meta charset=utf-8>"
    title = escape(described["info"]["title"])
    yield f"<title>{title}: HTTP</title><h1>{title}</h1>"
    yield "<p>The same for programs: <a href=openapi.json>openapi.json</a>.</p>"
    for path, operations in described["paths"].items():
        for method in (each for each in _METHODS if each in operations):
            yield from _operation(method, path, operations[method])


def _operation(method: str, path: str, said: dict[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(said.get('description', ''))}</p>"
    yield "<ul>"
    for each in said.get("parameters", []):
        must = "" if each.get("required") else ", may be left out"
        words = escape(each.get("description", ""))
        yield f"<li><code>{escape(each['name'])}</code> ({escape(each['in'])}{must}) {words}</li>"
    for kind in said.get("requestBody", {}).get("content", {}):
        yield f"<li>body: <code>{escape(kind)}</code></li>"
    for status, answer in said.get("responses", {}).items():
        yield f"<li>{escape(status)}: {escape(answer.get('description', ''))}</li>"
    yield "</ul>"
