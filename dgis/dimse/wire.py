"""One TCP connection of the upper layer: bytes in through one reused buffer, gathered sends out."""

import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from time import monotonic

from dgis.dimse.limits import Limits
from dgis.dimse.pdu import HEADER

_TICK_SECONDS = 5.0  # how often a silent wait looks at its limits, at most
_BUFFER_BYTES = 16_384  # before an association is agreed; most A-ASSOCIATE-RQ fit
_GATHER_PARTS = 512  # half of Linux's IOV_MAX
_SMALL_BYTES = 4096  # copying so little costs less than a gather
_TIMEVAL = Struct("@ll")  # struct timeval of the platform
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class TransportClosedError(ConnectionError):
    """The peer, or the network, closed the connection."""


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

    A receive call blocks at most a tick, so that limits hold against a peer that sends nothing; TCP_QUICKACK
    is armed before each one, because dcmtk's small writes otherwise wait 40 ms for our delayed ACK
    (measured: 12.3 s against 0.6 s for 250 images).
    """

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self._socket = sock
        self._send_seconds = limits.send_seconds
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._patience = Patience("nothing", 0.0)
        self._waited_seconds = self._window_start_seconds = 0.0
        self._window_bytes = 0
        self._minimum_bytes_per_second = limits.minimum_bytes_per_second
        self._encrypted = isinstance(sock, ssl.SSLSocket)
        times = (
            limits.artim_seconds,
            limits.idle_seconds,
            limits.response_seconds,
            limits.send_seconds,
            limits.window_seconds,
        )
        sock.settimeout(None)
        self.set_tick(min(_TICK_SECONDS, *times))
        with contextlib.suppress(OSError):  # a peer that is gone already shows at the first read
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def set_tick(self, seconds: float) -> None:
        """Bound every blocking call; timeouts of the kernel, because Python's cost a poll() for each call."""
        self.tick_seconds = max(seconds, 0.001)
        whole = int(self.tick_seconds)
        timeval = _TIMEVAL.pack(whole, int((self.tick_seconds - whole) * 1e6))
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)

    def expect(self, patience: Patience) -> None:
        """Start a new wait: what was waited before does not count against it."""
        self._patience = patience
        self._waited_seconds = self._window_start_seconds = 0.0
        self._window_bytes = 0

    def reserve(self, size: int) -> None:
        """Make the buffer at least `size` bytes, keeping what was read ahead."""
        if size > len(self._buffer):
            larger = bytearray(size)  # untouched pages of it cost no memory
            pending = self._end - self._start
            larger[:pending] = self._view[self._start : self._end]
            self._buffer, self._view = larger, memoryview(larger)
            self._start, self._end = 0, pending

    @property
    def buffer(self) -> bytearray:
        """What `next_header` and `take` give offsets into; valid until the next read."""
        return self._buffer

    def next_header(self) -> tuple[int, int]:
        """Wait for a PDU header; return its type and the length it claims, unjudged.

        Raises:
            TransportClosedError, PeerTooSlowError: nothing more comes, or not in time.
        """
        self._fill(HEADER.size)
        kind, _, length = HEADER.unpack_from(self._buffer, self._start)
        self._start += HEADER.size
        return kind, length

    def take(self, size: int) -> int:
        """Wait for `size` bytes in one piece; return their offset in the buffer. They count as read.

        Raises:
            TransportClosedError, PeerTooSlowError: nothing more comes, or not in time.
        """
        self._fill(size)
        offset = self._start
        self._start += size
        return offset

    def pending(self) -> bool:
        """Whether something of the peer is here already: read ahead, or waiting in the kernel."""
        if self._end > self._start:
            return True
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        try:
            return self._receive_now() != 0
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True  # the read that follows meets the same error and reports it

    def send(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send all parts, in one system call where the kernel takes them.

        Raises:
            TransportClosedError: the connection is gone.
            PeerTooSlowError: the peer took nothing for `send_seconds`.
        """
        for start in range(0, len(parts), _GATHER_PARTS):
            self._send_group(parts[start : start + _GATHER_PARTS])

    def wake(self) -> None:
        """Let a thread that waits here see the end of input; callable from another thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def limit(self, patience: Patience) -> None:
        """Start a last wait that must not outlast its limit even where the peer is silent."""
        self.set_tick(min(self.tick_seconds, patience.seconds))
        self.expect(patience)

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

    def post(self, data: bytes) -> None:
        """Send a few last bytes without waiting: a peer that does not read them misses them."""
        with contextlib.suppress(OSError):
            if self._encrypted:
                self._socket.send(data)
            else:
                self._socket.send(data, socket.MSG_DONTWAIT)

    def _receive_now(self) -> int:
        """Read without waiting; keep what came."""
        self._make_room(1)
        if self._encrypted:
            self._socket.setblocking(False)
            try:
                got = self._socket.recv_into(self._view[self._end :])
            finally:
                self._socket.setblocking(True)
        else:
            got = self._socket.recv_into(self._view[self._end :], 0, socket.MSG_DONTWAIT)
        if got == 0:
            raise TransportClosedError("closed by the peer")
        self._end += got
        return got

    def _fill(self, size: int) -> None:
        if self._end - self._start >= size:
            return
        self._make_room(size)
        while self._end - self._start < size:
            self._receive()

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
        got = 0
        try:
            if _QUICK_ACK is not None:
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
            got = self._socket.recv_into(self._view[self._end :])
            if got == 0:
                raise TransportClosedError("closed by the peer")
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            raise TransportClosedError("connection lost") from error
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

    def _send_group(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        total = sum(map(len, parts))
        if total <= _SMALL_BYTES:
            parts = [b"".join(parts)]
        began = progress = monotonic()
        sent = 0
        while sent < total:
            got = self._send_once(parts if sent == 0 else [memoryview(b"".join(parts))[sent:]])
            now = monotonic()
            progress = now if got else progress
            sent += got
            slow = now - began > self._send_seconds + total / self._minimum_bytes_per_second
            if sent < total and (slow or now - progress > self._send_seconds):
                raise PeerTooSlowError("the peer does not take what it asked for")

    def _send_once(self, parts: Sequence[bytes | bytearray | memoryview]) -> int:
        try:
            if len(parts) == 1:
                return self._socket.send(parts[0])
            if self._encrypted:
                return self._socket.send(b"".join(parts))
            return self._socket.sendmsg(parts)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError as error:
            raise TransportClosedError("connection lost") from error
