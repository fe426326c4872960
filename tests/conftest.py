import hypothesis
import pytest

from tests.browser import browser, visitor  # noqa: F401 - fixtures, found by name
from tests.corpus import require_corpus
from tests.engines.ceph import ceph, ceph_clusters  # noqa: F401 - fixtures, found by name
from tests.postgres import postgres_server, postgres_url  # noqa: F401 - fixtures, found by name
from tests.tools.report import pytest_terminal_summary  # noqa: F401 - a hook, found by name

# What a machine does beside the tests must decide none of them: no example is too slow here.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def corpus():
    """The root of the real DICOM files; skips with a reason where they are absent."""
    return require_corpus()
