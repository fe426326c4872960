import asyncio
import threading

import pytest

from dgis.dicomweb.feeding import Feed, Threads, begin
from dgis.web.connection import GONE
from tests.gateway import wait_until

BATCH = 256 << 10


class Pieces:
    """Pieces of 64 KiB; counts those that were taken."""

    def __init__(self, most, fails_at=None):
        self.taken = 0
        self.most = most
        self.fails_at = fails_at
        self.closed = threading.Event()

    def __iter__(self):
        return self._all()

    def _all(self):
        try:
            for _ in range(self.most):
                if self.taken == self.fails_at:
                    raise OSError("gone")
                self.taken += 1
                yield bytes(1 << 16)
        finally:
            self.closed.set()


@pytest.fixture
def threads():
    threads = Threads(2)
    yield threads
    threads.close()


def sent(threads, pieces, send, gone=bool, method="GET"):
    ended = []
    over = threading.Event()

    def end(words):
        ended.append(words)
        over.set()

    async def answer():
        response = await begin(Feed(pieces, end), threads, "x/y")
        await response({"type": "http", "method": method, "state": {GONE: gone}}, None, send)

    asyncio.run(answer())
    assert over.wait(30)
    assert pieces.closed.is_set()
    return ended


def test_everything_leaves_and_it_ends_once(threads):
    messages = []

    async def send(message):
        messages.append(message)

    pieces = Pieces(100)
    assert sent(threads, pieces, send) == [""]
    assert sum(len(message.get("body", b"")) for message in messages) == 100 << 16
    assert not messages[-1].get("more_body")


def test_no_more_is_read_ahead_than_one_batch(threads):
    """A slow client: while its batch has not left, the one behind it is fetched and no other."""
    pieces = Pieces(1000)
    left = 0

    async def send(message):
        nonlocal left
        if left < 5 and message.get("body"):
            await asyncio.sleep(0.01)
            left += 1
            assert pieces.taken <= (left + 1) * (BATCH >> 16)

    assert sent(threads, pieces, send) == [""]
    assert left == 5


def test_a_client_that_is_gone_ends_the_reading(threads):
    pieces = Pieces(1_000_000)
    gone = threading.Event()

    async def send(message):
        if message.get("body"):
            gone.set()

    assert sent(threads, pieces, send, gone.is_set) == ["client_gone"]
    assert pieces.taken <= 3 * (BATCH >> 16)


def test_what_fails_half_way_sends_no_end(threads):
    messages = []

    async def send(message):
        messages.append(message)

    assert sent(threads, Pieces(100, fails_at=50), send) == ["cut_short"]
    assert messages[-1]["more_body"]


def test_what_fails_at_once_is_raised_and_let_go(threads):
    ended = []
    pieces = Pieces(100, fails_at=0)
    with pytest.raises(OSError, match="gone"):
        asyncio.run(begin(Feed(pieces, ended.append), threads, "x/y"))
    wait_until(lambda: ended == ["OSError"], 30, "the feed is closed")
    assert pieces.closed.is_set()


def test_head_has_no_body(threads):
    messages = []

    async def send(message):
        messages.append(message)

    assert sent(threads, Pieces(100), send, method="HEAD") == ["headers_only"]
    assert [len(message.get("body", b"")) for message in messages] == [0, 0]
