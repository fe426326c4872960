"""The browser of the tests: it draws pages, keeps profiles apart, and tells what pages complain of."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser import visit

pytestmark = pytest.mark.xdist_group("chromium")

_PAGE = b"<!doctype html><title>t</title><link rel=icon href=data:,><h1>ready</h1><script>%s</script>"


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Set-Cookie", "seen=1; HttpOnly")
        if self.path == "/strict":
            self.send_header("Content-Security-Policy", "default-src 'self'")
        self.end_headers()
        script = {"/throws": b"throw new Error('broken')", "/strict": b"document.title = 'ran'"}
        self.wfile.write(_PAGE % script.get(self.path, b""))

    def log_message(self, *_arguments):
        pass


@pytest.fixture(scope="module")
def pages():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_page_is_drawn_and_nothing_is_amiss(pages, visitor):
    visitor.page.goto(f"{pages}/")
    assert visitor.page.inner_text("h1") == "ready"
    assert visitor.cookies()["seen"]["httpOnly"] is True


def test_profiles_know_nothing_of_each_other(pages, browser):
    with visit(browser) as one, visit(browser) as other:
        one.page.goto(f"{pages}/")
        assert list(one.cookies()) == ["seen"]
        assert other.cookies() == {}


def test_an_exception_in_a_page_is_told(pages, browser):
    with visit(browser) as seen:
        seen.page.goto(f"{pages}/throws")
        assert any("broken" in error for error in seen.errors)


def test_a_script_kept_out_by_the_policy_is_told(pages, browser):
    with visit(browser) as seen:
        seen.page.goto(f"{pages}/strict")
        assert seen.page.title() == "t"
        assert any("Content Security Policy" in error for error in seen.errors)
