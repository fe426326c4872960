"""Commands that run in this process, without what they do to its logging."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
import structlog

from dgis import logs


@contextmanager
def logging_apart() -> Iterator[None]:
    """A command sets logging up for its process: here that would outlive the standard error it was given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "configure", lambda *_: None)
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(StringIO()))
        try:
            yield
        finally:
            structlog.reset_defaults()
