import asyncio

import httpx
import pytest
import sqlalchemy as sa
from fastapi import APIRouter
from psycopg import errors

from dgis.web.application import application
from dgis.web.limits import Limits


async def asked(original):
    router = APIRouter()

    @router.get("/broken")
    def broken():
        raise sa.exc.OperationalError("SELECT 'DOE^JANE'", {}, original)

    inner = application([router], Limits(), lambda *_: None)
    transport = httpx.ASGITransport(inner, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get("/broken")


@pytest.mark.parametrize(
    ("original", "status", "reason"),
    [(errors.AdminShutdown(), 503, "database-away"), (errors.UndefinedTable(), 500, "failed")],
)
def test_a_database_that_is_away_is_no_defect(original, status, reason):
    answer = asyncio.run(asked(original))
    assert answer.status_code == status
    assert answer.json()["reason"] == reason
    assert answer.headers.get("Retry-After") == ("5" if status == 503 else None)
    assert "DOE" not in answer.text
