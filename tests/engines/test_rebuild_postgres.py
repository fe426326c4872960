"""Rebuilding once more on PostgreSQL, where several may write meanwhile."""

import pytest

from dgis import database
from tests.unit.dgis.rebuild.conftest import *  # noqa: F403 (the reviewer's desk)
from tests.unit.dgis.rebuild.test_rebuild import (
    test_a_part_an_old_database_still_plans_is_not_published_again,  # noqa: F401
    test_a_rebuild_that_was_killed_goes_on,  # noqa: F401
    test_an_old_database_loses_what_was_withdrawn_since,  # noqa: F401
    test_the_catalog_is_what_it_was,  # noqa: F401
)
from tests.unit.dgis.site import Site

pytestmark = pytest.mark.postgres


@pytest.fixture
def site(tmp_path, postgres_url):
    """A whole gateway on PostgreSQL, its nodes in memory."""
    site = Site(tmp_path, postgres_url)
    yield site
    site.close()


def test_one_rebuild_at_a_time(site):
    with database.alone(site.engine, "rebuild") as first:
        assert first
        with database.alone(site.engine, "rebuild") as second:
            assert not second
    with database.alone(site.engine, "rebuild") as again:
        assert again
