"""C-GET and C-MOVE of a CT series: from the caches of the servers, and from packed records on nodes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.bench import peers
from tests.bench.association import Association, message
from tests.bench.bench import Bench
from tests.bench.images import Sent, real
from tests.bench.machine import settle
from tests.bench.peers import NEVER, SINK_AE, Server
from tests.bench.receiver import Sink, Tally
from tests.bench.sender import Senders
from tests.bench.targets import CPU, FIRST, RATE
from tests.tools import wire
from tests.tools.client import C_GET, C_MOVE, GET, MOVE, PENDING, ROOT, encode, query

PART = "retrieve"
_KIND = "CT abdomen"
_SERVICES = {"C-GET": (C_GET, GET), "C-MOVE": (C_MOVE, MOVE)}


def run(bench: Bench) -> None:
    """Measure the same series from everybody in turn."""
    series = real(_KIND, bench.sizes.images).fresh()
    with Sink() as sink:
        starts = (
            partial(_gateway, sink.port),
            partial(_records, sink.port, series),
            partial(peers.orthanc, sink=sink.port),
            partial(peers.dcmqrscp, sink=sink.port),
        )
        with bench.servers(*starts) as servers:
            for server in servers:
                if server.name != "records":
                    _store(server, series)
            settle()
            for number in range(bench.sizes.rounds + 1):
                for service in _SERVICES:
                    bench.say(f"{PART}: round {number}, {service}")
                    for server in servers:
                        _measure(bench, server, service, series, sink, counts=number > 0)


@contextmanager
def _gateway(sink: int) -> Iterator[Server]:
    with peers.gateway(NEVER, sink=sink) as (server, _):
        yield server


@contextmanager
def _records(sink: int, series: Sent) -> Iterator[Server]:
    """Run a gateway that has published the series and has nothing of it in its cache."""
    with peers.gateway(name="records", sink=sink) as (server, own):
        _store(server, series)
        own.wait_published(300)
        own.cli("cache", "evict", "--all")
        yield server


def _store(server: Server, series: Sent) -> None:
    Senders(server.address, server.calling, server.called, [series.images]).send()


def _measure(bench: Bench, server: Server, service: str, series: Sent, sink: Sink, *, counts: bool) -> None:
    tally = sink.tally = Tally()
    before = server.cpu_seconds()
    began, ended = _retrieve(server, service, series, tally)
    used = server.cpu_seconds() - before
    assert tally.images == len(series.images), f"{server.name}: {tally.images} of {len(series.images)} images"
    assert tally.first is not None, "nothing came"
    if not counts:  # the first time warms everybody
        return
    for work in _works(server, service):
        who = "gateway" if server.name == "records" else server.name
        bench.add(PART, work, RATE, who, tally.images / (ended - began))
        bench.add(PART, work, FIRST, who, (tally.first - began) * 1000)
        bench.add(PART, work, CPU, who, used / tally.images * 1000)


def _works(server: Server, service: str) -> tuple[str, ...]:
    """Return what a measurement counts for: what a peer has on disk is compared with both."""
    cache, records = f"{service} from cache", f"{service} from records"
    return {"gateway": (cache,), "records": (records,)}.get(server.name, (cache, records))


def _retrieve(server: Server, service: str, series: Sent, tally: Tally) -> tuple[float, float]:
    """Ask, take what comes on this association, and return when it was asked and when it was over."""
    code, last = _SERVICES[service]
    sop_class = ROOT["study"] + last
    image = series.images[0]
    contexts = [(sop_class, [wire.IMPLICIT]), (image.sop_class_uid, [image.syntax])]
    link = Association.request(server.address, server.calling, server.called, contexts, [image.sop_class_uid])
    fields = {"CommandField": code, "MessageID": 1, "AffectedSOPClassUID": sop_class, "Priority": 0}
    if service == "C-MOVE":
        fields["MoveDestination"] = SINK_AE
    asked = query("SERIES", StudyInstanceUID=series.study_uid, SeriesInstanceUID=series.series_uid)
    request = message(1, link.max_pdu, fields, encode(asked))
    began = time.perf_counter()
    link.sock.sendall(request)
    while True:
        context, command, length = link.message(keep=False)
        assert command is not None, f"{server.name} ended the association"
        if "MessageID" in command:
            tally.note(length)
            link.acknowledge(context, command)
        elif command["Status"] not in PENDING:
            ended = time.perf_counter()
            assert command["Status"] == 0, f"{server.name}: {command}"
            link.release()
            return began, ended
