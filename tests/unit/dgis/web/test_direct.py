"""The short way answers what it is made for as the long one would, and leaves the rest to it."""

import asyncio

import httpx
import pytest
import sqlalchemy as sa
from fastapi import APIRouter
from psycopg import errors
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from dgis.web.application import application
from dgis.web.direct import Direct
from dgis.web.limits import Limits
from dgis.web.problems import Problem

FAILURES = {
    "problem": Problem(418, "teapot", "no coffee", {"X-Pot": "yes"}),
    "http": HTTPException(410),
    "database": sa.exc.OperationalError("SELECT 'DOE^JANE'", {}, errors.AdminShutdown()),
    "other": RuntimeError("DOE^JANE"),
}


async def read(request):
    name = request.path_params["name"]
    if name in FAILURES:
        raise FAILURES[name]
    return PlainTextResponse(f"{name} by {request.scope['route'].path}")


def router():
    """A resource read by a plain route and by one of FastAPI's, and another method of the plain one."""
    made = APIRouter()
    made.add_route("/plain/{name}", read, ["GET"], include_in_schema=False)

    @made.get("/long/{name}")
    async def long(name: str):
        if name in FAILURES:
            raise FAILURES[name]

    @made.post("/plain/{name}")
    async def write(name: str):
        return name

    return made


def asked(app, *requests):
    async def ask():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.request(*request) for request in requests]

    return asyncio.run(ask())


@pytest.fixture
def refused():
    return []


@pytest.fixture
def door(refused):
    return application([router()], Limits(), lambda _address, reason: refused.append(reason))


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_told_as_by_the_long_way(door, refused, name):
    short, long = asked(door, ("GET", f"/plain/{name}"), ("GET", f"/long/{name}"))
    assert (short.status_code, short.json()) == (long.status_code, long.json())
    assert short.status_code >= 400
    assert "DOE" not in short.text
    recorded = [each.replace("Internal Server Error", "failed") for each in refused]
    assert recorded == [recorded[0]] * 2
    own = {"content-type", "retry-after", "x-pot", "content-security-policy", "cache-control"}
    assert {key: short.headers.get(key) for key in own} == {key: long.headers.get(key) for key in own}


def test_only_what_it_is_made_for_takes_the_short_way():
    async def inner(scope, receive, send):
        await PlainTextResponse("the long way")(scope, receive, send)

    direct = Direct(inner, [Route("/plain/{name}", read, methods=["GET"])])
    requests = [("GET", "/plain/a"), ("POST", "/plain/a"), ("GET", "/plain/a/b"), ("GET", "/other")]
    answers = asked(direct, *requests)
    assert [each.text for each in answers] == ["a by /plain/{name}", *["the long way"] * 3]


def test_other_methods_of_its_paths_are_answered_as_before(door):
    head, post, delete = asked(door, ("HEAD", "/plain/a"), ("POST", "/plain/a"), ("DELETE", "/plain/a"))
    assert (head.status_code, post.json(), delete.status_code) == (200, "a", 405)


def test_pages_of_other_sites_may_read_by_it_where_they_are_named():
    door = application([router()], Limits(), lambda *_: None, origins=["https://viewer.example"])

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://x") as client:
            return await client.get("/plain/a", headers={"origin": "https://viewer.example"})

    answer = asyncio.run(ask())
    assert answer.headers["access-control-allow-origin"] == "https://viewer.example"
