"""How often one may ask: the buckets by themselves, and at the door."""

import asyncio

import httpx
import pytest
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dgis.web.application import application
from dgis.web.configuration import RatesSection, Web
from dgis.web.limits import Limits
from dgis.web.rates import Buckets, Rates, network_of, retry_after


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_bucket_gives_what_fits_in_and_then_what_comes_back():
    clock = Clock()
    bucket = Buckets(2, 3, clock)
    assert [bucket.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.take("b") == 0
    clock.now = 0.5
    assert (bucket.take("a"), bucket.take("a")) == (0, 0.5)
    assert bucket.wait("b") == bucket.wait("b") == 0


@given(st.lists(st.floats(0, 10), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_over_any_time_no_more_is_given_than_fits_and_comes_back(pauses, per_second, burst):
    clock = Clock()
    bucket = Buckets(per_second, burst, clock)
    taken = 0
    for pause in pauses:
        clock.now += pause
        wait = bucket.take("a")
        taken += not wait
        assert 0 <= wait <= 1 / per_second + 1e-9
    assert taken <= burst + clock.now * per_second + 1e-6


def test_without_a_rate_nothing_is_limited():
    assert not any(Buckets(0, 1).take("a") for _ in range(100))


def test_it_remembers_only_so_many():
    bucket = Buckets(1, 1, Clock(), most=2)
    for name in ("a", "b", "c"):
        assert bucket.take(name) == 0
    assert bucket.take("c") > 0
    assert bucket.take("a") == 0, "it was forgotten"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("", ""),
    ],
)
def test_addresses_of_one_subscriber_are_counted_together(address, counted):
    assert network_of(address) == counted


def test_the_time_to_wait_is_said_in_whole_seconds():
    assert [retry_after(seconds) for seconds in (0.01, 1.0, 1.1)] == ["1", "1", "2"]


def asked(door, times=1, method="GET", **given):
    async def run():
        transport = httpx.ASGITransport(door, client=("192.0.2.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://grid") as client:
            return [await client.request(method, "/quick", **given) for _ in range(times)]

    return asyncio.run(run())


def made(**given):
    router = APIRouter()
    router.add_api_route("/quick", lambda: {"said": "quick"}, methods=["GET"])
    heard = []
    door = application([router], Limits(), lambda address, reason: heard.append((address, reason)), **given)
    return door, heard


def test_who_asks_too_often_is_told_when_to_ask_again():
    door, heard = made(addresses=Buckets(1, 2, Clock()))
    answers = asked(door, 3)
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].json()["reason"] == "too_many"
    assert answers[-1].headers["x-content-type-options"] == "nosniff"
    assert heard == [("192.0.2.1", "too_many")]


VIEWER = "https://viewer.example"


def test_other_sites_may_ask_nothing_unless_the_configuration_names_them():
    for door in (made()[0], made(origins=["https://another.example"])[0]):
        (answer,) = asked(door, headers={"Origin": VIEWER})
        assert "access-control-allow-origin" not in answer.headers


def test_a_site_that_is_named_may_ask_with_a_token_and_never_with_a_cookie():
    door, _heard = made(origins=[VIEWER])
    wanted = {
        "Origin": VIEWER,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "Authorization",
    }
    (before,) = asked(door, method="OPTIONS", headers=wanted)
    assert before.headers["access-control-allow-origin"] == VIEWER
    assert "authorization" in before.headers["access-control-allow-headers"].lower()
    (answer,) = asked(door, headers={"Origin": VIEWER})
    assert answer.headers["access-control-allow-origin"] == VIEWER
    for each in (before, answer):
        assert "access-control-allow-credentials" not in each.headers
        assert "Origin" in each.headers["vary"]


@pytest.mark.parametrize("origin", ["*", "viewer.example", "https://viewer.example/", "ftp://viewer.example"])
def test_an_origin_is_one(origin):
    with pytest.raises(ValidationError):
        Web(origins=(origin,))


def test_what_the_configuration_says_is_what_holds():
    rates = Rates.of(RatesSection(address_per_second=1, address_burst=1, refused_per_minute=0), float)
    assert rates.addresses.take("a") == 0
    assert rates.addresses.take("a") > 0
    assert not any(rates.refusals.take("a") for _ in range(1000))
