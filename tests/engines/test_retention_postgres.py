"""Deleting by retention once more on PostgreSQL, where a hold may come from another session meanwhile."""

import threading

import pytest
import sqlalchemy as sa

from catalog.grants import What
from catalog.tables import PHI
from dgis.erasure import fence
from dgis.retention import holds
from tests.unit.dgis.retention.test_retention import (
    aged,  # noqa: F401 (a fixture, found by name)
    listed,
    run,
    test_a_deletion_that_was_killed_goes_on,  # noqa: F401
    test_a_hold_that_comes_while_it_deletes_is_seen,  # noqa: F401
    test_no_rebuild_brings_it_back,  # noqa: F401
    test_what_is_due_leaves_every_copy,  # noqa: F401
)
from tests.unit.dgis.site import Site

pytestmark = pytest.mark.postgres


@pytest.fixture
def site(tmp_path, postgres_url):
    """A whole gateway on PostgreSQL, its nodes in memory."""
    site = Site(tmp_path, postgres_url)
    yield site
    site.close()


def test_a_deletion_waits_for_a_hold_that_is_being_written(aged):  # noqa: F811
    (one,) = listed(aged)
    done = []
    deleting = threading.Thread(target=lambda: done.append(run(aged)))
    with aged.engine.begin() as connection:
        what = What(patient_key=one.series.patient_key)
        holds.add(connection, what, "a lawsuit", "counsel", aged.clock())
        fence.hold(connection, one.series.patient_key)
        deleting.start()
        waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        while not connection.execute(waiting).scalar_one():
            pass
    deleting.join()
    assert done == [[]]
    assert len(aged.rows(PHI.instance)) == 5
