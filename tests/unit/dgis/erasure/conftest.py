import pytest

from tests.unit.dgis.site import Site


@pytest.fixture
def site(tmp_path):
    """A whole gateway on SQLite, its nodes in memory."""
    site = Site(tmp_path)
    yield site
    site.close()
