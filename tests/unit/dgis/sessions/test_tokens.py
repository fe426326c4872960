"""Tokens of accounts: what they stand for, who makes them, and when they end."""

import asyncio

import httpx
import pytest
import sqlalchemy as sa

from catalog.callers import Assertions, Right
from catalog.credentials import accounts, opaque
from catalog.credentials.opaque import Wanted
from catalog.credentials.passcodes import Account
from catalog.tables import api_token
from tests.unit.dgis.sessions.conftest import HASH, NAME, PASSCODE

AUTH = (NAME, PASSCODE)
DAY_MS = 86_400_000


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def made(door):
    answer = door.ask("POST", "/api/tokens", auth=AUTH, json={"may": ["find"], "label": "nightly", "days": 2})
    assert answer.status_code == 201
    return answer.json()


def test_a_token_stands_for_its_account_within_its_own_ceiling(door, made):
    known = door.caller(headers=bearer(made["token"])).json()
    assert (known["name"], known["may"]) == (NAME, ["find"])
    assert known["assertions"] == {"issuer": ["gateway-1"], "user": [NAME], "institution": ["Hospital A"]}


def test_it_is_told_once_and_kept_as_a_digest(door, made, engine):
    listed = door.ask("GET", "/api/tokens", auth=AUTH)
    assert [one["label"] for one in listed.json()] == ["nightly"]
    assert made["token"] not in listed.text
    with engine.connect() as connection:
        assert made["token"] not in repr(connection.execute(sa.select(api_token)).all())
    assert made["token"] not in repr([one.detail for one in door.entries()])
    assert ("account", "token") in {(one.event.value, one.detail.get("what")) for one in door.entries()}


def test_it_ends_at_its_time_and_at_once_when_it_is_taken_away(door, made, clock):
    other = door.ask("POST", "/api/tokens", auth=AUTH, json={"may": ["find"]}).json()
    clock.now_ms += 2 * DAY_MS
    expired = door.caller(headers=bearer(made["token"]))
    assert (expired.status_code, expired.json()["reason"]) == (401, "expired")
    assert door.caller(headers=bearer(other["token"])).status_code == 200
    assert door.ask("DELETE", f"/api/tokens/{other['id']}", auth=AUTH).status_code == 204
    gone = door.caller(headers=bearer(other["token"]))
    assert (gone.status_code, gone.json()["reason"]) == (401, "unknown_token")


@pytest.mark.parametrize("change", [lambda token: token[:-1], lambda token: token + "x", lambda _: "dgis_"])
def test_nearly_a_token_is_none(door, made, change):
    assert door.caller(headers=bearer(change(made["token"]))).status_code == 401


def test_its_ceiling_follows_its_account(door, made, engine):
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE account SET may = '[\"phi\"]'"))
    assert door.caller(headers=bearer(made["token"])).json()["may"] == []


def test_it_ends_with_its_account_also_where_another_of_that_name_comes(door, made, engine):
    with engine.begin() as connection:
        accounts.remove(connection, NAME)
        accounts.add(connection, Account(NAME, HASH, Assertions(user=NAME), frozenset(Right)))
    assert door.caller(headers=bearer(made["token"])).status_code == 401


def test_who_has_a_token_alone_makes_no_other(door, made):
    refused = door.ask("POST", "/api/tokens", headers=bearer(made["token"]), json={"may": ["find"]})
    assert (refused.status_code, refused.json()["reason"]) == (403, "no_account")


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"may": ["store"]}, 400),
        ({"may": []}, 400),
        ({"may": ["find"], "label": "a\nb"}, 400),
        ({"may": ["find"], "days": 367}, 422),
        ({"may": ["find"], "days": 0}, 422),
        ({"may": ["everything"]}, 422),
    ],
)
def test_a_token_wants_what_its_account_may(door, wanted, status):
    assert door.ask("POST", "/api/tokens", auth=AUTH, json=wanted).status_code == status


def test_of_others_nobody_sees_or_takes_tokens(door, made, engine):
    with engine.begin() as connection:
        accounts.add(connection, Account("other", HASH, Assertions(user="other")))
    assert door.ask("GET", "/api/tokens", auth=("other", PASSCODE)).json() == []
    refused = door.ask("DELETE", f"/api/tokens/{made['id']}", auth=("other", PASSCODE))
    assert (refused.status_code, refused.json()["reason"]) == (404, "no_token")
    assert door.caller(headers=bearer(made["token"])).status_code == 200


def test_expired_tokens_are_forgotten(engine, clock):
    with engine.begin() as connection:
        opaque.add(connection, Wanted(NAME, "", frozenset({Right.FIND}), 1), clock.now_ms)
        assert opaque.forget_expired(connection, clock.now_ms + DAY_MS) == 0
        assert opaque.forget_expired(connection, clock.now_ms + DAY_MS + 1) == 1


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1"])
def test_in_clear_it_is_taken_from_this_machine_alone(door, made, address):
    async def asked():
        transport = httpx.ASGITransport(door.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/api/caller", headers=bearer(made["token"]))

    answer = asyncio.run(asked())
    assert answer.status_code == (200 if address == "127.0.0.1" else 401)
