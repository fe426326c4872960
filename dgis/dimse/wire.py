"""PDUs in through one reused buffer, gathered sends out, and the patience with a peer that lets us wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic

from dgis.dimse.limits import Limits
from dgis.dimse.pdu import HEADER
from dgis.dimse.transport import Buffer, Transport, TransportClosedError

_BUFFER_BYTES = 16_384  # before an association is agreed; most A-ASSOCIATE-RQ fit
_GATHER_PARTS = 512  # half of Linux's IOV_MAX
_SMALL_BYTES = 4096  # copying so little costs less than a gather; no PDU of an image is so small


class PeerTooSlowError(TimeoutError):
    """The peer let a time limit or the minimum rate pass; the text names which."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for the peer in all, and what it must send in every window of waiting (0: nothing)."""

    words: str
    seconds: float
    minimum_bytes_per_second: int = 0
    window_seconds: float = 0.0


class Wire:
    """Reads PDUs into one buffer and writes each message with one system call where the kernel takes it.

    Only waiting for the peer counts against its time: our own disk never does.
    """

    def __init__(self, transport: Transport, limits: Limits) -> None:
        self._transport = transport
        self._send_seconds = limits.send_seconds
        self._minimum_bytes_per_second = limits.minimum_bytes_per_second
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._roomy = 0
        self._patience = Patience("nothing", 0.0)
        self._waited_seconds = self._window_start_seconds = 0.0
        self._window_bytes = 0
        self._end_at = inf

    def expect(self, patience: Patience) -> None:
        """Start a new wait: what was waited before does not count against it."""
        self._patience = patience
        self._waited_seconds = self._window_start_seconds = 0.0
        self._window_bytes = 0

    def expect_last(self, patience: Patience) -> None:
        """Start a last wait that ends at its limit, whether the peer is silent or never stops."""
        self._end_at = monotonic() + patience.seconds
        self._transport.set_tick(min(self._transport.tick_seconds, patience.seconds))
        self.expect(patience)

    def reserve(self, size: int) -> None:
        """Make the buffer at least `size` bytes, keeping what was read ahead."""
        if size > len(self._buffer):
            larger = bytearray(size)
            pending = self._end - self._start
            larger[:pending] = self._view[self._start : self._end]
            self._buffer, self._view = larger, memoryview(larger)
            self._start, self._end = 0, pending

    def make_roomy(self, size: int) -> None:
        """Have a buffer of `size` bytes from the first PDU on that is not small.

        Such a buffer is written over with zeros when it is made: a tenth of a millisecond, that an
        association without images does without.
        """
        self._roomy = size

    @property
    def buffer(self) -> bytearray:
        """What `take` gives offsets into; valid until the next read."""
        return self._buffer

    def next_header(self) -> tuple[int, int]:
        """Wait for a PDU header; return its type and the length it claims, unjudged.

        Raises:
            TransportClosedError, PeerTooSlowError: nothing more comes, or not in time.
        """
        kind, _, length = HEADER.unpack_from(self._buffer, self.take(HEADER.size))
        return kind, length

    def take(self, size: int) -> int:
        """Wait for `size` bytes in one piece; return their offset in the buffer. They count as read.

        Raises:
            TransportClosedError, PeerTooSlowError: nothing more comes, or not in time.
        """
        if self._end - self._start < size:
            if size > _SMALL_BYTES and self._roomy:
                self.reserve(self._roomy)
                self._roomy = 0
            self._make_room(size)
            while self._end - self._start < size:
                self._receive()
        offset = self._start
        self._start += size
        return offset

    def skip(self, size: int) -> None:
        """Read and drop `size` bytes.

        Raises:
            TransportClosedError, PeerTooSlowError: nothing more comes, or not in time.
        """
        while size > 0:
            if self._end == self._start:
                self._make_room(1)
                self._receive()
            step = min(size, self._end - self._start)
            self._start += step
            size -= step

    def pending(self) -> bool:
        """Whether something of the peer is here already, its end included: read ahead, or in the kernel."""
        if self._end > self._start:
            return True
        self._make_room(1)
        try:
            self._end += self._transport.receive_now(self._view[self._end :])
        except TransportClosedError:
            return True  # the read that follows meets the same end and reports it
        return self._end > self._start

    def wait(self, seconds: float) -> bool:
        """Wait so long at most for something of the peer, its end included; False where nothing came.

        Raises:
            PeerTooSlowError: what is waited for did not come in time.
        """
        if self.pending():
            return True
        began = monotonic()
        came = self._transport.readable(seconds)
        self._waited_seconds += monotonic() - began
        if not came:
            self._judge(0)
        return came

    def send(self, parts: Sequence[Buffer]) -> None:
        """Send all parts, in one system call where the kernel takes them.

        Raises:
            TransportClosedError: the connection is gone.
            PeerTooSlowError: the peer does not take them, or too slowly.
        """
        if len(parts) <= _GATHER_PARTS:
            self._send_group(parts)
            return
        for start in range(0, len(parts), _GATHER_PARTS):
            self._send_group(parts[start : start + _GATHER_PARTS])

    def post(self, data: bytes) -> None:
        """Send a few last bytes without waiting: a peer that does not read them misses them."""
        self._transport.post(data)

    def wake(self) -> None:
        """Let a thread that waits here see the end of input; callable from another thread."""
        self._transport.wake()

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        self._transport.close()

    def _make_room(self, size: int) -> None:
        """Have room for `size` bytes after `_start`; what is pending moves to the front when it must."""
        pending = self._end - self._start
        if pending == 0:
            self._start = self._end = 0
        elif len(self._buffer) - self._start < max(size, pending + 1):
            self._view[:pending] = self._view[self._start : self._end]
            self._start, self._end = 0, pending
        self.reserve(size)

    def _receive(self) -> None:
        began = monotonic()
        if began >= self._end_at:
            raise PeerTooSlowError(f"{self._patience.words}: not over in time")
        got = self._transport.receive(self._view[self._end :])
        self._waited_seconds += monotonic() - began
        self._end += got
        self._judge(got)

    def _judge(self, got: int) -> None:
        patience = self._patience
        if self._waited_seconds >= patience.seconds:
            raise PeerTooSlowError(f"{patience.words}: not complete after {patience.seconds:g} s")
        self._window_bytes += got
        window_seconds = self._waited_seconds - self._window_start_seconds
        if patience.minimum_bytes_per_second and window_seconds >= patience.window_seconds:
            if self._window_bytes < window_seconds * patience.minimum_bytes_per_second:
                raise PeerTooSlowError(f"{patience.words}: below {patience.minimum_bytes_per_second} bytes/s")
            self._window_start_seconds, self._window_bytes = self._waited_seconds, 0

    def _send_group(self, parts: Sequence[Buffer]) -> None:
        if len(parts) == 1:
            total = len(parts[0])
        else:
            total = sum(map(len, parts))
            if total <= _SMALL_BYTES:
                parts = [b"".join(parts)]
        sent = self._transport.send(parts)
        if sent < total:
            self._send_rest(memoryview(b"".join(parts))[sent:])

    def _send_rest(self, left: memoryview) -> None:
        """Go on where the kernel's buffer was full for a whole tick: the peer is slow, or gone."""
        slowest_seconds = self._send_seconds + len(left) / self._minimum_bytes_per_second
        began = progress = monotonic()
        while left:
            sent = self._transport.send([left])
            left = left[sent:]
            now = monotonic()
            progress = now if sent else progress
            if left and (now - progress > self._send_seconds or now - began > slowest_seconds):
                raise PeerTooSlowError("the peer does not take what it asked for")
