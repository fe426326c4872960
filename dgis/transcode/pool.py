import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from dgis.transcode.decoder import DECODING, Decoder
from dgis.transcode.errors import DecoderFailedError
from dgis.transcode.limits import Limits

_log = structlog.get_logger(__name__)


class Pool:
    """Warm decoders, started when they are needed, lent for one frame, replaced when they failed.

    Args:
        limits: of each decoder.
        most: decoders at once; one a processor where that is None.
        module: what runs in each.
    """

    def __init__(self, limits: Limits, most: int | None = None, module: str = DECODING) -> None:
        self._limits = limits
        self._module = module
        self.most = most or os.cpu_count() or 1
        self._free = threading.Semaphore(self.most)
        self._lock = threading.Lock()
        self._idle: list[Decoder] = []
        self._close = weakref.finalize(self, _close_all, self._idle)  # at the end of the process, too

    @contextmanager
    def lend(self, deadline_s: float) -> Iterator[Decoder]:
        """Lend a decoder; waits for one until `deadline_s`, by `time.monotonic`.

        Raises:
            DecoderFailedError: none came free.
        """
        if not self._free.acquire(timeout=max(deadline_s - time.monotonic(), 0.0)):
            raise DecoderFailedError("no decoder came free")
        try:
            decoder = self._take()
            try:
                yield decoder
            finally:
                self._take_back(decoder)
        finally:
            self._free.release()

    def close(self) -> None:
        """End the decoders that are not lent."""
        self._close()

    def _take(self) -> Decoder:
        with self._lock:
            if self._idle:
                return self._idle.pop()  # the one used last: its pages are warm
        return Decoder(self._limits, self._module)

    def _take_back(self, decoder: Decoder) -> None:
        if decoder.usable and self._close.alive:
            with self._lock:
                self._idle.append(decoder)
            return
        _log.info("decoder_ended", usable=decoder.usable)
        decoder.close()


def _close_all(decoders: list[Decoder]) -> None:
    while decoders:
        decoders.pop().close()
