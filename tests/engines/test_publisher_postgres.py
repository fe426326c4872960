"""The publisher's tests once more, on PostgreSQL: rows are locked there, not the whole database."""

import pytest

from tests.unit.dgis.publisher.test_publisher import *  # noqa: F403 (every test of that file)
from tests.unit.dgis.site import Site


@pytest.fixture
def site(tmp_path, postgres_url):
    """A whole gateway on PostgreSQL, its nodes in memory."""
    site = Site(tmp_path, postgres_url)
    yield site
    site.close()
