"""PostgreSQL stopped at once and started again under store, query and publish: nothing is lost."""

import urllib.error
import urllib.request

import pytest

from tests.engines.restarting import restarting_postgres
from tests.gateway import Gateway, wait_until
from tests.tools import crash
from tests.tools.fetching import HOSPITAL, find
from tests.tools.pressure import PAIRS, Pressure
from tests.tools.report import show

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.xdist_group("postgres-restart")]

_STOPS = 3
_OUT_OF_RESOURCES = 0xA700
# A retry that began while the server was away, or an answer that broke off behind its first page.
_MAY_COME = {0, _OUT_OF_RESOURCES, 0xC001}


@pytest.fixture(scope="module")
def server():
    with restarting_postgres() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(server):
    with Gateway(database_url=server.url) as running:
        yield running


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_a_server_that_restarts_under_load_costs_nothing(server, gateway, request, monkeypatch):
    with Pressure(gateway) as pressure:
        for _ in range(_STOPS):
            pressure.wait_for_stores(10)
            server.crash()
            pressure.wait_for_stores(4)  # ingest goes on without the database
            server.start()
            pressure.wait_for_finds(3)
    gateway.wait_published(240)
    journal = pressure.answered()
    assert set(pressure.stored) == {0}
    assert set(pressure.found) <= _MAY_COME
    monkeypatch.setattr(crash, "_PAIRS", PAIRS)
    lost = crash._lost(gateway, journal)
    doubled, damaged = crash._on_nodes(gateway)
    show(
        request,
        f"PostgreSQL stopped at once {_STOPS} times under load: acknowledged {len(journal.acknowledged)}, "
        f"lost {len(lost)}, published twice {len(doubled)}, damaged {len(damaged)}; "
        f"longest wait of a query {pressure.longest_gap_seconds:.1f} s",
    )
    assert (lost, doubled, damaged) == ((), (), ())


def test_while_the_server_is_away_the_doors_say_so(server, gateway):
    server.crash()
    try:
        outcome = find(gateway.address, HOSPITAL, "STUDY", StudyInstanceUID="")
        code, _, body = status_of(f"{gateway.web}/readyz")
    finally:
        server.start()
    assert outcome.status == _OUT_OF_RESOURCES
    assert (code, b"database" in body) == (503, True)
    wait_until(lambda: status_of(f"{gateway.web}/readyz")[0] == 200, 60, "the web door is ready again")
    assert find(gateway.address, HOSPITAL, "STUDY", StudyInstanceUID="").status == 0
