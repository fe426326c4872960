"""The reviewer's tests once more, on PostgreSQL: who decides at the same time waits for a table there."""

import pytest

from tests.unit.dgis.review.conftest import desk, transcoder  # noqa: F401 (fixtures)
from tests.unit.dgis.review.test_review import *  # noqa: F403 (every test of that file)
from tests.unit.dgis.site import Site


@pytest.fixture
def site(tmp_path, postgres_url):
    """A whole gateway on PostgreSQL, its nodes in memory."""
    site = Site(tmp_path, postgres_url)
    yield site
    site.close()
