"""Answers that are fetched while they leave: threads read ahead by one batch, and no further."""

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dgis.web.connection import GONE

_log = structlog.get_logger(__name__)

Buffer = bytes | bytearray | memoryview
_T = TypeVar("_T")

_BATCH_BYTES = 256 << 10
_BATCH_SECONDS = 0.05  # what is there leaves, though the batch is not full
_THREADS = 32


class Threads:
    """Where a web door waits for disks, nodes and databases, so that its loop does not."""

    def __init__(self, most: int = _THREADS) -> None:
        self._pool = ThreadPoolExecutor(most, "dicomweb")

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do work in a thread; it is finished there also where nobody waits for it any more."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def submit(self, work: Callable[[], None]) -> None:
        """Have work done for which nobody waits; here and now where the threads have ended."""
        try:
            self._pool.submit(work)
        except RuntimeError:
            work()

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Feed:
    """Pieces of an answer, gathered into batches; one thread at a time takes.

    Args:
        pieces: what leaves; closed when the answer is over.
        ended: called once, with the words for the trail where it did not go well.
    """

    def __init__(self, pieces: Iterable[Buffer], ended: Callable[[str], None] = lambda _words: None) -> None:
        self._pieces = iter(pieces)
        self._ended = ended
        self._lock = threading.Lock()
        self._over = False

    def take(self) -> Buffer:
        """Return the next batch; nothing where there is none.

        Raises:
            Exception: what fetching raises.
        """
        with self._lock:
            if self._over:
                return b""
            batch: list[Buffer] = []
            size, began = 0, time.monotonic()
            for piece in self._pieces:
                batch.append(piece)
                size += len(piece)
                if size >= _BATCH_BYTES or (size and time.monotonic() - began > _BATCH_SECONDS):
                    break
            return batch[0] if len(batch) == 1 else b"".join(batch)

    def close(self, words: str = "") -> None:
        """Let go of what the pieces hold open; `words` say why it did not go well."""
        with self._lock:
            if self._over:
                return
            self._over = True
            if isinstance(self._pieces, Generator):
                self._pieces.close()
            self._ended(words)


class Fed(Response):
    """A response whose body is a feed; made by `begin`, which has taken the first batch.

    One batch is fetched while the one before it leaves: memory is two batches. A client that goes away, or
    takes nothing any more, ends the reading. Where fetching fails half way the body ends without its end
    (no last chunk), and the connection with it: no client may take it for whole.
    """

    def __init__(
        self, feed: Feed, first: Buffer, threads: Threads, media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(None, 200, None, media_type)
        del self.headers["content-length"]
        self.headers.update(headers)
        self._feed = feed
        self._first = first
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
        """Send it."""
        gone = scope.get("state", {}).get(GONE, bool)
        words = "cut_short"
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                words = "headers_only"
                await send({"type": "http.response.body", "body": b""})
                return
            batch = self._first
            while len(batch) and not gone():
                following = asyncio.ensure_future(self._threads.run(self._feed.take))
                try:
                    await send({"type": "http.response.body", "body": batch, "more_body": True})
                finally:
                    # The feed is not closed beneath a thread that takes from it; `Feed` sees to that as well.
                    batch = await asyncio.shield(following)
            if gone():
                words = "client_gone"
                return
            words = ""
            await send({"type": "http.response.body", "body": b""})
        except Exception as error:  # noqa: BLE001 (whatever it is, the answer breaks off)
            _log.warning("answer_broken_off", error=type(error).__name__)
        finally:
            self._threads.submit(lambda: self._feed.close(words))


async def begin(
    feed: Feed,
    threads: Threads,
    media_type: str,
    headers: Mapping[str, str] | None = None,
) -> Fed:
    """Fetch the first batch and return the response.

    Raises:
        Exception: what fetching it raises: nothing has left yet.
    """
    try:
        first = await threads.run(feed.take)
    except BaseException as error:
        threads.submit(partial(feed.close, type(error).__name__))
        raise
    return Fed(feed, first, threads, media_type, headers or {})
