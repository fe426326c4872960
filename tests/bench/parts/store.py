"""C-STORE with pre-encoded messages: CT, MR and PT over one and four associations, servers in turn."""

import time
from contextlib import contextmanager

from tests.bench import peers
from tests.bench.bench import Bench
from tests.bench.figures import GATEWAY
from tests.bench.images import Sent, synthetic
from tests.bench.machine import settle
from tests.bench.peers import NEVER, Server
from tests.bench.sender import SendError, Senders
from tests.bench.targets import CPU, RATE

PART = "store"
_IMAGES = {"CT": 1, "MR": 2, "PT": 4}  # times the series' length, so that each lasts long enough
_FEW = 5  # times fewer images for dcmqrscp, whose time grows with the number it holds
_AFTER_SECONDS = 0.7  # rows are written behind the answer: their processor time is counted, too


@contextmanager
def receiving_gateway():
    """Run a gateway that receives and does not publish."""
    with peers.gateway(NEVER) as (server, _):
        yield server


def run(bench: Bench) -> None:
    """Measure; each round gives every server the same images under new identifiers."""
    with bench.servers(receiving_gateway, peers.orthanc, peers.dcmqrscp, peers.storescp) as servers:
        for server in servers:
            send(server, _series("PT", 1, 40))
        for number in range(bench.sizes.rounds):
            for kind, times in _IMAGES.items():
                for associations in (1, 4):
                    bench.say(f"{PART}: round {number + 1}, {kind} x{associations}")
                    for server in servers:
                        few = _FEW if server.name == "dcmqrscp" else 1
                        length = bench.sizes.images * times // few
                        _measure(bench, server, kind, associations, length)


def _measure(bench: Bench, server: Server, kind: str, associations: int, length: int) -> None:
    sent = _series(kind, associations, length // associations)
    try:
        rate, cpu = send(server, sent)
    except SendError as error:
        if server.name == GATEWAY:
            raise
        bench.lacks(f"{server.name} failed at {kind} x{associations}: {error}")
        return
    bench.add(PART, f"{kind} x{associations}", RATE, server.name, rate)
    bench.add(PART, f"{kind} x{associations}", CPU, server.name, cpu)


def send(server: Server, series: list[Sent]) -> tuple[float, float]:
    """Send a series over each of as many associations; return images a second, and CPU s a thousand."""
    senders = Senders(server.address, server.calling, server.called, [each.images for each in series])
    settle()
    before = server.cpu_seconds()
    load = senders.send()
    time.sleep(_AFTER_SECONDS)
    return load.rate, (server.cpu_seconds() - before) / load.images * 1000


def _series(kind: str, associations: int, length: int) -> list[Sent]:
    return [synthetic(kind, length).fresh() for _ in range(associations)]
