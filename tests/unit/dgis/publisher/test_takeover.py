"""What one gateway takes over of another that fell silent, and what it leaves."""

import pytest
import sqlalchemy as sa

from catalog.tables import PHI
from dgis import failpoints
from dgis.gateways import say_alive, silent, standings
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.publisher.takeover import take_over
from dgis.tables import cache_instance
from tests.unit.dgis.site import Site, phantom

AWAY_MS = 180_000


@pytest.fixture
def pair(tmp_path):
    first = Site(tmp_path)
    second = Site(tmp_path, name="gateway-2", grid=first.grid)
    second.clock = first.clock
    yield first, second
    second.close()
    first.close()


def planned(site):
    site.clock.pass_seconds(10)
    while site.publisher().plan():
        pass


def takes_over(site, dead=("gateway-1",)):
    with site.engine.begin() as connection:
        return take_over(connection, site.name, dead, site.clock())


def records_of(site):
    with site.engine.connect() as connection:
        return set(connection.scalars(sa.select(PHI.instance.c.record_key)))


def rows(site, table):
    with site.engine.connect() as connection:
        return connection.execute(sa.select(table)).all()


def publish_all(site):
    planned(site)
    while site.publisher().run_once():
        pass


def test_one_that_speaks_is_not_silent_and_one_that_never_did_is_left_alone(pair):
    first, _ = pair
    now = first.clock()
    with first.engine.begin() as connection:
        for name in ("gateway-1", "gateway-2"):
            say_alive(connection, name, now, now)
        assert silent(connection, "gateway-2", now - AWAY_MS) == []
        say_alive(connection, "gateway-2", now, now + AWAY_MS + 1)
        assert silent(connection, "gateway-2", now + 1) == ["gateway-1"]
        assert silent(connection, "gateway-1", now) == []
        assert [each.gateway_id for each in standings(connection)] == ["gateway-1", "gateway-2"]


def test_what_both_caches_hold_is_taken_over_and_published_once(pair):
    first, second = pair
    for site in pair:
        site.receive(phantom(3))
    planned(first)
    publish_all(second)
    assert records_of(second) == {None}
    (before,) = rows(first, publish_part)
    assert takes_over(second) == 1
    (part,) = rows(second, publish_part)
    assert (part.gateway_id, part.record_key) == ("gateway-2", before.record_key)
    publish_all(second)
    (record,) = records_of(second)
    assert record is not None
    publish_all(first)  # it comes back: nothing is left to do, and its cache may be evicted
    assert records_of(first) == {record}
    assert all(row.published for row in rows(first, cache_instance))
    assert [row.gateway_id for row in rows(first, publish_part)] == ["gateway-2"]


def test_what_only_the_dead_gateway_holds_stays_its_own(pair):
    first, second = pair
    first.receive(phantom(4))
    second.receive(phantom(4)[:1])
    planned(first)
    assert takes_over(second) == 1
    (part,) = rows(first, publish_part)
    assert (part.gateway_id, part.instances) == ("gateway-1", 3)
    publish_all(second)
    with first.engine.begin() as connection:
        say_alive(connection, "gateway-1", 0, 0)
        (standing,) = standings(connection)
    assert (standing.alone, standing.shared) == (3, 0)
    assert takes_over(second) == 0
    publish_all(first)
    assert len(records_of(first)) == 2
    assert None not in records_of(first)


def test_one_that_was_only_slow_cannot_commit_what_was_taken_over(pair, monkeypatch):
    first, second = pair
    for site in pair:
        site.receive(phantom(3))
    planned(first)
    monkeypatch.setattr(failpoints, "hit", lambda point: point == "publish.placed" and takes_over(second))
    assert first.publisher().run_once()  # an attempt, that came to nothing
    monkeypatch.undo()
    assert records_of(first) == {None}
    publish_all(second)
    first.clock.pass_seconds(60)
    publish_all(first)
    (record,) = records_of(first)
    assert all(row.published for row in rows(first, cache_instance))
    assert [row.record_key for row in rows(first, publish_part)] == [record]


def test_a_part_without_a_shared_original_is_left(pair):
    first, second = pair
    first.receive(phantom(2))
    planned(first)
    before = rows(first, publish_part), rows(first, publish_part_instance)
    assert takes_over(second) == 0
    assert (rows(first, publish_part), rows(first, publish_part_instance)) == before
    assert takes_over(second, ()) == 0
