"""Publishing: packed, de-identified, sealed and on nodes, which lie in memory or on disk; and end to end."""

import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.bench import peers
from tests.bench.association import Association
from tests.bench.bench import Bench
from tests.bench.images import Sent, real
from tests.bench.machine import MEMORY, settle
from tests.bench.peers import Server
from tests.bench.sender import Senders
from tests.bench.targets import RAW
from tests.gateway import Gateway
from tests.tools import wire
from tests.tools.client import FIND, ROOT, encode, query

PART = "publish"
_KINDS = {"CT abdomen": 3, "CT chest": 4, "PET": 8}  # series at once: enough parts for every core
_LOOK_SECONDS = 0.002
_LONGEST_SECONDS = 300
_PLACES = {"nodes in memory": True, "nodes on disk": False}
_SETTINGS = {
    "DGIS__PUBLISH__STABLE_AGE_SECONDS": "20",
    "DGIS__PUBLISH__AFTER_RELEASE_SECONDS": "1.5",
    "DGIS__PUBLISH__INTERVAL_SECONDS": "0.1",
}
_TAKEN_UP = "(lease_owner IS NOT NULL OR state = 'published')"
_PART_BYTES = 130_000_000  # raw bytes of all series of a kind in a round


def run(bench: Bench) -> None:
    """Measure each kind, nodes in memory and on disk in turn, and a series from its sender to the grid."""
    with _gateway(in_memory=True) as memory, _gateway(in_memory=False) as disk:
        both = dict(zip(_PLACES, (memory, disk), strict=True))
        for number in range(bench.sizes.rounds + 1):
            for kind, count in _KINDS.items():
                bench.say(f"{PART}: round {number}, {kind}")
                rates = {place: _packed(*own, _series(kind, count)) for place, own in both.items()}
                if number:  # the first time warms everybody
                    _note(bench, kind, rates)
            bench.say(f"{PART}: round {number}, end to end")
            seconds, stored = _end_to_end(*disk)
            if number:
                bench.add(PART, "134 MB CT until found in the grid", "s", "gateway", seconds)
                bench.add(PART, "134 MB CT, of it storing", "s", "gateway", stored)


def _note(bench: Bench, kind: str, rates: dict[str, tuple[float, float]]) -> None:
    for place, (rate, cpu) in rates.items():
        bench.add(PART, f"{kind}, {place}", RAW, "gateway", rate)
        bench.add(PART, f"{kind}, {place}", "CPU s/GB raw", "gateway", cpu)
    share = rates["nodes on disk"][0] / rates["nodes in memory"][0]
    bench.add(PART, f"{kind}, share kept with nodes on disk", "ratio", "gateway", share)


def _series(kind: str, count: int) -> list[Sent]:
    """Return new series of a kind, of some 130 MB together."""
    each = len(real(kind).parts[0][1]) + len(real(kind).parts[0][2])
    length = max(_PART_BYTES // count // each, 1)
    return [real(kind, length).fresh() for _ in range(count)]


@contextmanager
def _gateway(*, in_memory: bool) -> Iterator[tuple[Server, Gateway]]:
    """Run a gateway with three folder nodes of its own."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=MEMORY if in_memory else None))
    nodes = [{"kind": "folder", "name": f"node-{one}", "path": str(folder / one)} for one in "abc"]
    try:
        with peers.gateway({**_SETTINGS, "DGIS__NODES": json.dumps(nodes)}) as (server, own):
            yield server, own
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _packed(server: Server, own: Gateway, series: list[Sent]) -> tuple[float, float]:
    """Store, wait until it is taken up; return MB of originals a second, and CPU s a GB, until published."""
    slices = [each.images for each in series]
    senders = Senders(server.address, server.calling, server.called, slices)
    with _watched(own) as watch:
        settle()
        senders.send()
        began = watch.await_state(_TAKEN_UP, _any)
        before = server.cpu_seconds()
        images = sum(map(len, slices))
        ended = watch.await_state("state = 'published'", lambda count: count == images)
        used = server.cpu_seconds() - before
    size = sum(each.size_bytes for each in series)
    return size / 1e6 / (ended - began), used / size * 1e9


def _end_to_end(server: Server, own: Gateway) -> tuple[float, float]:
    """Return seconds of storing and publishing, without the waiting between them; and those of storing."""
    series = real("CT abdomen", 134_000_000 // 526_000).fresh()
    senders = Senders(server.address, server.calling, server.called, [series.images])
    with _watched(own) as watch:
        settle()
        load = senders.send()
        began = watch.await_state(_TAKEN_UP, _any)
        ended = watch.await_state("state = 'published'", lambda count: count == len(series.images))
    _found(server, len(series.images))
    return load.seconds + ended - began, load.seconds


def _found(server: Server, images: int) -> None:
    """See that somebody in the grid finds a series of so many images."""
    sop_class = ROOT["study"] + FIND
    link = Association.request(server.address, "RESEARCH_1", server.called, [(sop_class, [wire.IMPLICIT])])
    asked = query("STUDY", StudyInstanceUID="", NumberOfStudyRelatedInstances="")
    assert link.find(1, sop_class, encode(asked)) > 0, (
        f"{images} images were published, and nobody finds them"
    )
    link.release()


def _any(count: int) -> bool:
    return count > 0


class _Watch:
    """Looks at the publisher's table from outside; what was published before is not counted."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._last = database.execute("SELECT coalesce(max(id), 0) FROM publish_part").fetchone()[0]

    def await_state(self, where: str, enough) -> float:
        """Return when the instances of new parts in this state are enough."""
        deadline = time.monotonic() + _LONGEST_SECONDS
        while not enough(self._count(f"{where} AND id > {self._last}")):
            assert time.monotonic() < deadline, f"no parts with {where}"
            time.sleep(_LOOK_SECONDS)
        return time.perf_counter()

    def _count(self, where: str) -> int:
        question = f"SELECT coalesce(sum(instances), 0) FROM publish_part WHERE {where}"
        return int(self._database.execute(question).fetchone()[0])


@contextmanager
def _watched(own: Gateway) -> Iterator[_Watch]:
    path = own.home / "catalog.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
        yield _Watch(database)
