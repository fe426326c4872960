"""An unmodified storescu of dcmtk, in its usual environment: what a site sees that changes nothing."""

import os
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.bench import peers
from tests.bench.bench import Bench
from tests.bench.images import synthetic, write_files
from tests.bench.machine import MEMORY, settle
from tests.bench.parts.store import receiving_gateway
from tests.bench.peers import Server
from tests.bench.targets import RATE

PART = "storescu"
_ROUNDS = 2  # of Orthanc as shipped: half a minute each
_CLIENT_SECONDS = 300


def run(bench: Bench) -> None:
    """Measure whole processes of storescu, from their start to their end."""
    with bench.servers(receiving_gateway, partial(peers.orthanc, shipped=True), peers.orthanc) as servers:
        for number in range(min(_ROUNDS, bench.sizes.rounds)):
            for kind in ("CT", "PT"):
                bench.say(f"{PART}: round {number + 1}, {kind}")
                for server in servers:
                    rate = _send(server, kind, bench.sizes.images)
                    bench.add(PART, kind, RATE, server.name, rate)


def _send(server: Server, kind: str, length: int) -> float:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        write_files(synthetic(kind, length).fresh().images, Path(folder))
        settle()
        began = time.perf_counter()
        storescu(server.address, server.called, Path(folder), server.calling)
        return length / (time.perf_counter() - began)


def storescu(address, called: str, folder: Path, calling: str = "HOSPITAL_1", before: tuple = ()) -> None:
    """Send a folder as somebody at a prompt does; `before` is put in front of the command."""
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    command = [*before, "storescu", "-aet", calling, "-aec", called, "+sd", address[0], str(address[1])]
    done = subprocess.run(
        [*command, str(folder)],
        env=environment,
        capture_output=True,
        timeout=_CLIENT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]
