"""The worker's chores for the nodes: what they look at, in which order, and how fast."""

import pytest

from dgis.chores.caring import caring
from dgis.configuration import Care, Configuration
from replica.allowance import Allowance
from tests.unit.replica.conftest import engine, grid  # noqa: F401 (fixtures, found by name)
from tests.unit.replica.grid import Clock

DAY = 86_400


def chores(own, **care):
    return {chore.name: chore for chore in caring(Configuration(care=Care(**care)), own.replicas)}


def reads(own):
    return sum(node.calls("get_range") for node in own.flaky.values())


@pytest.fixture
def quiet(grid):  # noqa: F811 (asked for by name)
    return grid


def test_the_scrub_reads_what_was_verified_longest_ago_within_the_period(quiet):
    first = quiet.publish("first", b"1" * 100)
    quiet.clock.pass_seconds(5 * DAY)
    quiet.publish("second", b"2" * 100)
    scrub = chores(quiet, scrub_days=20)["scrub"]
    assert not scrub.run_once()
    quiet.clock.pass_seconds(11 * DAY)
    before = reads(quiet)
    assert scrub.run_once()
    assert reads(quiet) == before + 3
    assert not scrub.run_once()
    oldest = quiet.row(first).id
    with quiet.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT object_id FROM replica_copy WHERE verified_ms = ?", (quiet.clock(),)
        ).scalars()
        assert set(rows) == {oldest}


def test_the_scrub_keeps_to_its_rate(quiet):
    for number in range(5):
        quiet.publish(f"k{number}", b"%d" % number * 100)
    quiet.clock.pass_seconds(25 * DAY)
    scrub = chores(quiet, scrub_bytes_per_second=150)["scrub"]
    rounds = 0
    while scrub.run_once():
        rounds += 1
    assert rounds == 1  # 300 bytes were read: two seconds' worth
    quiet.clock.pass_seconds(1)
    assert not scrub.run_once()
    quiet.clock.pass_seconds(1)
    assert scrub.run_once()


def test_rot_is_found_by_the_scrub_and_mended_by_the_fill(quiet):
    new = quiet.publish()
    quiet.memory["a"].objects[new.name] = b"the bytes of a recorD"
    quiet.clock.pass_seconds(25 * DAY)
    own = chores(quiet)
    while own["scrub"].run_once():
        pass
    assert quiet.states(new)["a"] == "bad"
    assert own["fill"].run_once()
    assert quiet.holders(new) == {"a", "b", "c"}


def test_every_chore_runs_where_there_is_nothing(quiet):
    for chore in chores(quiet).values():
        if chore.name != "label":  # it looks at the catalog's tables as well
            assert not chore.run_once()


def test_an_allowance_is_a_bucket_that_fills_with_time():
    clock = Clock()
    allowance = Allowance(1000, clock)
    assert allowance.ready()
    allowance.spend(2500)
    clock.pass_seconds(2)
    assert not allowance.ready()
    clock.pass_seconds(0.5)
    assert allowance.ready()
    clock.pass_seconds(3600)
    assert allowance.ready()
    allowance.spend(2001)
    assert not allowance.ready()
