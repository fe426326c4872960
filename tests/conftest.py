import pytest

from tests.corpus import require_corpus
from tests.engines.ceph import ceph, ceph_clusters  # noqa: F401 - fixtures, found by name
from tests.postgres import postgres_server, postgres_url  # noqa: F401 - fixtures, found by name
from tests.tools.report import pytest_terminal_summary  # noqa: F401 - a hook, found by name


@pytest.fixture(scope="session")
def corpus():
    """The root of the real DICOM files; skips with a reason where they are absent."""
    return require_corpus()
