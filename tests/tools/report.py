"""Figures and tables that a test measured, for whoever reads its output."""

import pytest

PROPERTY = "measured"  # tests/conftest.py prints these at the end, from xdist's workers too


def show(request: pytest.FixtureRequest, text: str) -> None:
    """Add a table or a line to the test's output, whether it passes or fails."""
    request.node.user_properties.append((PROPERTY, text))


def pytest_terminal_summary(terminalreporter) -> None:
    """Print what tests showed; tests/conftest.py imports it as a hook."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            properties = getattr(report, "user_properties", ())
            shown = [text for name, text in properties if name == PROPERTY]
            if shown and report.when == "call":
                terminalreporter.write_line("\n".join((report.nodeid, *shown)))
