"""Erasing once more on PostgreSQL, where several write at once: rows are locked there, not the database."""

import threading

import pytest
import sqlalchemy as sa

from catalog.tables import PHI
from dgis.erasure import fence
from dgis.erasure.tables import erasure
from tests.unit.dgis.erasure.erasing import ask, patient_key, rounds
from tests.unit.dgis.erasure.test_eraser import *  # noqa: F403 (every test of that file)
from tests.unit.dgis.site import Site, phantom

pytestmark = pytest.mark.postgres


@pytest.fixture
def site(tmp_path, postgres_url):
    """A whole gateway on PostgreSQL, its nodes in memory."""
    site = Site(tmp_path, postgres_url)
    yield site
    site.close()


def test_asking_waits_for_a_part_that_is_being_committed(site):
    """The part is real before the erasure begins, and is taken away by it."""
    images = phantom(2)
    site.publish(images)
    key = patient_key(site, images[0])
    asked = threading.Thread(target=ask, args=(site, key))
    with site.engine.begin() as connection:
        assert fence.may_publish(connection, key, key, [])
        asked.start()
        waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        while not connection.execute(waiting).scalar_one():
            pass
        assert connection.execute(sa.select(erasure)).all() == []
    asked.join()
    assert site.rows(PHI.instance) == []
    assert rounds(site).done == 1


def test_a_part_waits_for_an_erasure_that_is_being_asked_for(site):
    images = phantom(2)
    site.publish(images)
    key = patient_key(site, images[0])
    said = []

    def publish():
        with site.engine.begin() as connection:
            said.append(fence.may_publish(connection, key, key, []))

    publishing = threading.Thread(target=publish)
    with site.engine.begin() as connection:
        fence.hold(connection, key)
        publishing.start()
        waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        while not connection.execute(waiting).scalar_one():
            pass
        values = {"patient_key": key, "key_name": key, "requested_ms": 1, "requested_by": "a test"}
        connection.execute(sa.insert(erasure).values(**values))
    publishing.join()
    assert said == [False]
