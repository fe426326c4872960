import pytest

from tests.corpus import require_corpus


@pytest.fixture(scope="session")
def corpus():
    """The root of the real DICOM files; skips with a reason where they are absent."""
    return require_corpus()
