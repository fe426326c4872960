import pytest

from tests.tools.logging_apart import logging_apart


@pytest.fixture(autouse=True)
def _logging_apart():
    with logging_apart():
        yield
