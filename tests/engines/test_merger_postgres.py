"""The tests of merging once more, on PostgreSQL: rows are locked there, not the whole database."""

import threading

import pytest

from dgis.review.values import Choice
from tests.unit.dgis.merger.merging import forms, merge, merger, originals, records, small
from tests.unit.dgis.merger.test_races import *  # noqa: F403 (every test of that file)
from tests.unit.dgis.review.conftest import desk, transcoder  # noqa: F401 (fixtures)
from tests.unit.dgis.site import Site


@pytest.fixture
def site(tmp_path, postgres_url):
    """A whole gateway on PostgreSQL, its nodes in memory."""
    site = Site(tmp_path, postgres_url)
    yield site
    site.close()


def test_a_withdrawal_at_the_moment_of_the_commit_is_told_of_the_part_it_lies_in(site, desk):  # noqa: F811
    small(site)
    key, *_others = forms(site)
    site.clock.pass_seconds(120)
    own = merger(site)
    at_the_commit = threading.Barrier(2)
    step = own._step

    def stepping(one, name):
        step(one, name)
        if name == "committing":
            at_the_commit.wait(60)

    own._step = stepping
    merging = threading.Thread(target=own.run_once)
    merging.start()
    at_the_commit.wait(60)
    desk.say([key], Choice.WITHDRAW)
    merging.join(60)
    merge(site)
    (record,) = records(site)
    assert key not in forms(site)
    assert len(originals(site)) == 6
    assert key not in {
        entry.sop_instance_uid for entry in site.shelf.record(record).ask(lambda reader: reader.instances)
    } or (record, key, "withdrawn") in {
        (row.record_key, row.instance_key, row.why)
        for row in site.rows(departed)  # noqa: F405
    }
