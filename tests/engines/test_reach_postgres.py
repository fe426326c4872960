"""What is out of a gateway's reach, once more on PostgreSQL, where a statement is planned otherwise."""

import pytest

from tests.unit.dgis.site import Site
from tests.unit.dgis.test_reach import *  # noqa: F403 (every test of that file)


@pytest.fixture
def site(tmp_path, postgres_url):
    """A whole gateway on PostgreSQL, its nodes in memory."""
    site = Site(tmp_path, postgres_url)
    yield site
    site.close()
