"""Receiving into a catalog of a hundred thousand studies, and into an empty one, in turn."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import count

from tests.bench import peers
from tests.bench.bench import Bench
from tests.bench.homes import full_gateway
from tests.bench.images import Image, synthetic
from tests.bench.load import CT, Study
from tests.bench.machine import settle
from tests.bench.peers import NEVER, Server
from tests.bench.sender import Senders
from tests.bench.targets import EMPTY, FULL
from tests.gateway import Gateway
from tests.tools import wire

PART = "grown"
_LONGEST_SECONDS = 120
_LOOK_SECONDS = 0.005
_numbers = count(50_000_000)  # of studies that no catalog holds


def run(bench: Bench) -> None:
    """Measure until answered, and until the rows are there."""
    sizes = bench.sizes
    with (
        peers.gateway(NEVER, EMPTY) as empty,
        full_gateway(sizes.studies, FULL) as full,
    ):
        for server, own in (empty, full):
            _measure(server, own, _work(100)["PT x4"])
        for number in range(sizes.rounds):
            for what, slices in _work(4 * sizes.images).items():
                bench.say(f"{PART}: round {number + 1}, {what}")
                for server, own in (empty, full):
                    acknowledged, indexed = _measure(server, own, slices)
                    bench.add(PART, what, "acknowledged/s", server.name, acknowledged)
                    bench.add(PART, what, "indexed/s", server.name, indexed)


def _work(images: int) -> dict[str, list[Sequence[Image]]]:
    return {
        "PT x1": [synthetic("PT", images).fresh().images],
        "PT x4": [synthetic("PT", images // 4).fresh().images for _ in range(4)],
        "a study an image": [[_study() for _ in range(images)]],
    }


def _study() -> Image:
    study = Study(next(_numbers), 1)
    return Image(CT, study.image_uid(1), wire.EXPLICIT, study.image(1))


def _measure(server: Server, own: Gateway, slices: list[Sequence[Image]]) -> tuple[float, float]:
    """Return images a second until all are answered, and until all have their rows."""
    senders = Senders(server.address, server.calling, server.called, slices)
    settle()
    load = senders.send()
    _await_rows(own, [images[-1].uid for images in slices])
    return load.rate, load.images / (time.perf_counter() - load.began)


def _await_rows(own: Gateway, uids: Sequence[str]) -> None:
    """Return when the last image of each association is indexed: they are indexed in order."""
    marks = ", ".join("?" * len(uids))
    question = f"SELECT count(*) FROM cache_instance WHERE sop_instance_uid IN ({marks})"
    deadline = time.monotonic() + _LONGEST_SECONDS
    with closing(sqlite3.connect(f"file:{own.home / 'catalog.sqlite'}?mode=ro", uri=True)) as database:
        while database.execute(question, uids).fetchone()[0] < len(uids):
            assert time.monotonic() < deadline, "rows are missing"
            time.sleep(_LOOK_SECONDS)
