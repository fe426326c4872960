from io import StringIO

import pytest
import structlog

from dgis import logs


@pytest.fixture(autouse=True)
def _logging_apart(monkeypatch):
    """A command sets logging up for its process: here that would outlive the standard error it was given."""
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(StringIO()))
    yield
    structlog.reset_defaults()
