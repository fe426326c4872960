"""A slow link between two network namespaces: frames of two tap devices, delayed and at a limited rate.

    python -m tests.bench.link NAMESPACE_A NAMESPACE_B DELAY_MS MEGABIT

Real TCP runs over it from end to end, slow start and all; needs root and /dev/net/tun. Says "up" when it is.
"""

import fcntl
import os
import struct
import subprocess
import sys
import threading
import time
from collections import deque

ADDRESSES = ("10.99.0.1", "10.99.0.2")
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x2, 0x1000  # linux/if_tun.h
_FRAME_BYTES = 65536
_QUEUE_SECONDS = 0.1  # what a router would hold; beyond it frames are dropped, as TCP expects


class Direction:
    """Carries frames one way: each leaves when the line is free, and arrives a delay later."""

    def __init__(self, source: int, target: int, delay_seconds: float, bytes_per_second: float) -> None:
        self._source, self._target = source, target
        self._delay, self._rate = delay_seconds, bytes_per_second
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._some = threading.Condition()

    def start(self) -> None:
        """Carry until the process ends."""
        for run in (self._take, self._give):
            threading.Thread(target=run, daemon=True).start()

    def _take(self) -> None:
        free = 0.0
        while True:
            frame = os.read(self._source, _FRAME_BYTES)
            now = time.perf_counter()
            if free - now > _QUEUE_SECONDS:
                continue
            free = max(now, free) + len(frame) / self._rate
            with self._some:
                self._under_way.append((free + self._delay, frame))
                self._some.notify()

    def _give(self) -> None:
        while True:
            with self._some:
                while not self._under_way:
                    self._some.wait()
                due, frame = self._under_way.popleft()
            wait = due - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            os.write(self._target, frame)


def _tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def main(first: str, second: str, delay_ms: float, megabit: float) -> None:
    """Make both ends and carry between them."""
    ends = []
    for place, (namespace, address) in enumerate(zip((first, second), ADDRESSES, strict=True)):
        device = f"{namespace[:12]}{place}"
        ends.append(_tap(device))
        _ip("link", "set", device, "netns", namespace)
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", device)
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "link", "set", device, "mtu", "1500", "up")
    for source, target in (ends, ends[::-1]):
        Direction(source, target, delay_ms / 1e3, megabit * 1e6 / 8).start()
    sys.stdout.write("up\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
