"""What every answer bears, whatever it is."""

import asyncio

import httpx
import pytest
from fastapi import APIRouter
from starlette.responses import Response

from dgis.web.application import application
from dgis.web.limits import Limits
from dgis.web.problems import Problem

ALWAYS = {
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
USUALLY = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "referrer-policy": "no-referrer",
}
PATHS = ("/json", "/refused", "/broken", "/nothing", "/long")


def routes():
    router = APIRouter()

    @router.get("/refused")
    async def refused():
        raise Problem(403, "not_yours", "this is not yours")

    @router.get("/broken")
    async def broken():
        raise RuntimeError

    @router.get("/same")
    async def same():
        return Response("for all", headers={"Cache-Control": "max-age=60"})

    router.add_api_route("/json", lambda: {"said": "json"}, methods=["GET"])
    return router


def answer(path, scheme="https"):
    async def asked():
        inner = application([routes()], Limits(body_bytes=10), lambda *_: None)
        transport = httpx.ASGITransport(inner, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://grid") as client:
            return await client.request("GET", path, content=b"x" * 11 if path == "/long" else None)

    return asyncio.run(asked())


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_bears_them(path):
    headers = answer(path).headers
    assert {name: headers[name] for name in ALWAYS | USUALLY} == ALWAYS | USUALLY


def test_what_is_the_same_for_everybody_may_be_kept():
    headers = answer("/same").headers
    assert headers.get_list("cache-control") == ["max-age=60"]
    assert headers["content-security-policy"] == USUALLY["content-security-policy"]


def test_tls_is_asked_for_where_there_is_tls():
    assert answer("/json").headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in answer("/json", "http").headers
