"""A real browser for a test: Debian's Chromium without a window, driven by playwright."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.needs import lacking

EXECUTABLE = Path("/usr/bin/chromium")
WAIT_MS = 120_000  # for what a page shall become; a machine at work on other things is slow


def require_chromium() -> None:
    """Skip the test where Chromium is not installed; in CI its absence is a failure."""
    if EXECUTABLE.exists():
        return
    lacking(f"no {EXECUTABLE}: `make engines` installs chromium (Debian, root)")


@dataclass
class Visit:
    """One person at a browser: a profile of its own (cookies, storage), a first tab, and what went wrong.

    `errors` holds what the pages wrote to the console as errors (a script or a resource that the content
    security policy kept out among them), and exceptions that nothing caught.
    """

    context: BrowserContext
    page: Page
    errors: list[str] = field(default_factory=list)

    def cookies(self) -> dict[str, dict]:
        """Return every cookie of the profile by its name, with its attributes."""
        return {cookie["name"]: cookie for cookie in self.context.cookies()}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; it ends with the block."""
    require_chromium()
    # Root's Chromium does not start in a sandbox of its own; what it opens here are our own pages.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=str(EXECUTABLE), args=arguments)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def visit(browser: Browser, **options) -> Iterator[Visit]:
    """Open a profile with one tab; `options` are those of playwright's `Browser.new_context`."""
    context = browser.new_context(**options)
    context.set_default_timeout(WAIT_MS)
    try:
        visited = Visit(context, context.new_page())

        def said(message: ConsoleMessage) -> None:
            if message.type == "error":
                visited.errors.append(f"{message.text} ({message.location.get('url', '')})")

        context.on("console", said)
        context.on("weberror", lambda error: visited.errors.append(str(error.error)))
        yield visited
    finally:
        context.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module."""
    with chromium() as started:
        yield started


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visit]:
    """Somebody who was never here; the test fails where a page complained and the test did not clear that."""
    with visit(browser) as visited:
        yield visited
        assert visited.errors == [], "what pages complained of"
