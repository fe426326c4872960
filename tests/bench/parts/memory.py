"""Memory of all processes of the gateway: idle, and while it receives and publishes."""

import threading
import time

from tests.bench import peers
from tests.bench.bench import Bench
from tests.bench.images import real
from tests.bench.sender import Senders
from tests.bench.targets import PSS
from tests.gateway import Gateway
from tests.tools.processes import pss_bytes

PART = "memory"
_IDLE_SECONDS = 5
_SAMPLE_SECONDS = 0.05


def run(bench: Bench) -> None:
    """Measure the proportional set size: what is shared counts once."""
    with peers.gateway() as (server, own):
        time.sleep(_IDLE_SECONDS)
        for pid in own.pids():
            bench.add(PART, f"idle, {_role(own, pid)}", PSS, "gateway", pss_bytes([pid]) / 1e6)
        bench.add(PART, "idle", PSS, "gateway", pss_bytes(own.pids()) / 1e6)
        slices = [real("CT abdomen", bench.sizes.images).fresh().images for _ in range(4)]
        senders = Senders(server.address, server.calling, server.called, slices)
        watch = _Watch(own)
        watch.start()
        senders.send()
        own.wait_published(300)
        peak = watch.stop()
        bench.add(PART, "4 associations of CT and publishing", PSS, "gateway", peak / 1e6)
        time.sleep(_IDLE_SECONDS)
        bench.add(PART, "idle again", PSS, "gateway", pss_bytes(own.pids()) / 1e6)


def _role(own: Gateway, pid: int) -> str:
    roles = {own.role_pid(role): role for role in ("dicom", "web", "worker")}
    return roles.get(pid, "supervisor and helpers")


class _Watch(threading.Thread):
    """Samples until stopped."""

    def __init__(self, own: Gateway) -> None:
        super().__init__(daemon=True)
        self._own, self._ended, self._peak = own, threading.Event(), 0

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self._peak = max(self._peak, pss_bytes(self._own.pids()))

    def stop(self) -> int:
        """Return the highest sum seen, bytes."""
        self._ended.set()
        self.join()
        return self._peak
