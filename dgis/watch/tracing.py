"""Spans of what the gateway does: nothing at all unless `[traces]` names where they go.

What exports them is imported only then (`pip install dgis[traces]`). Names and attributes are ours: no value
of a data set, a query or a peer, and of an exception its type alone.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Protocol

from dgis.watch.configuration import Traces

Start = Callable[[str], AbstractContextManager[object]]


class Exporter(Protocol):
    """What makes spans and sends them."""

    def start(self, name: str) -> AbstractContextManager[object]:
        """Begin a span below the one that is open in this thread; it ends with the block."""

    def stop(self, seconds: float) -> None:
        """Send what is left, for so long at most."""


_NOTHING: Start = nullcontext
_start: Start = _NOTHING
_exporter: Exporter | None = None


class TracesError(Exception):
    """Traces are configured and cannot be had; the message says what to do."""


def begin(traces: Traces, gateway: str, role: str) -> None:
    """Send spans from now on, where that is configured.

    Raises:
        TracesError: what exports them is not installed.
    """
    if traces.endpoint is None:
        return
    try:
        module = import_module("dgis.watch.exporting")
    except ImportError:
        raise TracesError(
            "traces.endpoint is set and OpenTelemetry is not installed: pip install 'dgis[traces]'"
        ) from None
    use(module.exporter(traces, gateway, role))


def use(exporter: Exporter | None) -> None:
    """Make spans with this exporter; None: none at all."""
    global _exporter, _start  # noqa: PLW0603 (one for the process, set at its start and end)
    _exporter = exporter
    _start = _NOTHING if exporter is None else exporter.start


def end(seconds: float) -> None:
    """Send what is left, and no more after that."""
    exporter = _exporter
    use(None)
    if exporter is not None:
        exporter.stop(seconds)


def span(name: str) -> AbstractContextManager[object]:
    """Return a block that is a span, or nothing."""
    return _start(name)
