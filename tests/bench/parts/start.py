"""From `dgis serve` on a home with a million cached instances to the first association."""

import threading
import time
from contextlib import suppress

from tests.bench.association import Association
from tests.bench.bench import Bench
from tests.bench.homes import kept
from tests.bench.machine import free_port
from tests.bench.peers import NEVER
from tests.gateway import START_SECONDS, Gateway
from tests.tools import wire
from tests.tools.client import VERIFICATION

PART = "start"
_A_SERIES = 250


def run(bench: Bench) -> None:
    """Measure; between the rounds it is stopped as an operator stops it."""
    instances = bench.sizes.instances
    home = kept(max(instances // _A_SERIES, 1), _A_SERIES, published=False)
    words = f"{instances:,} cached instances to the first association"
    port = free_port()
    own = Gateway({**NEVER, "DGIS__DICOM__PORT": str(port)}, fresh=True)
    own.home.rmdir()
    own.home, own._log = home, home / "gateway.log"
    try:
        for number in range(bench.sizes.rounds):
            bench.say(f"{PART}: round {number + 1}")
            bench.add(PART, words, "s", "gateway", _started(own, port))
            own.stop()
    finally:
        own.kill()  # its home stays for the next run


def _started(own: Gateway, port: int) -> float:
    began = time.perf_counter()
    starting = threading.Thread(target=own.start)
    starting.start()
    _first_association(port)
    took = time.perf_counter() - began
    starting.join()
    return took


def _first_association(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(ConnectionError):
            link = Association.request(
                ("127.0.0.1", port), "HOSPITAL_1", "DGIS", [(VERIFICATION, [wire.IMPLICIT])]
            )
            link.echo()
            link.release()
            return
        time.sleep(0.005)
    raise AssertionError("no association within the time a start may take")
