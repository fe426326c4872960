"""Association set-up with a C-ECHO and a release, and C-ECHOs on one association."""

import multiprocessing
import time

from tests.bench import peers
from tests.bench.association import Association
from tests.bench.bench import Bench
from tests.bench.parts.store import receiving_gateway
from tests.bench.peers import Server
from tests.tools import wire
from tests.tools.client import VERIFICATION

PART = "associate"
_ASSOCIATIONS, _ECHOS = 400, 4000
_FORK = multiprocessing.get_context("fork")
UNIT = "per second"


def run(bench: Bench) -> None:
    """Measure rates of each server in turn."""
    with bench.servers(receiving_gateway, peers.orthanc, peers.dcmqrscp) as servers:
        for server in servers:
            _associations(server, 5)
        for _ in range(bench.sizes.rounds):
            for server in servers:
                for parallel in (1, 4):
                    what = f"association, echo, release x{parallel}"
                    before = server.cpu_seconds()
                    rate = _in_parallel(server, parallel)
                    used = (server.cpu_seconds() - before) / _ASSOCIATIONS * 1000
                    bench.add(PART, what, UNIT, server.name, rate)
                    bench.add(PART, what, "CPU s/1000", server.name, used)
                bench.add(PART, "C-ECHO on one association", UNIT, server.name, _echos(server))


def _associations(server: Server, count: int) -> None:
    for _ in range(count):
        link = _open(server)
        link.echo()
        link.release()


def _in_parallel(server: Server, parallel: int) -> float:
    each = _ASSOCIATIONS // parallel
    processes = [_FORK.Process(target=_associations, args=(server, each)) for _ in range(parallel)]
    began = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0, "an association failed"
    return each * parallel / (time.perf_counter() - began)


def _echos(server: Server) -> float:
    link = _open(server)
    link.echo()
    began = time.perf_counter()
    for _ in range(_ECHOS):
        link.echo()
    rate = _ECHOS / (time.perf_counter() - began)
    link.release()
    return rate


def _open(server: Server) -> Association:
    return Association.request(
        server.address, server.calling, server.called, [(VERIFICATION, [wire.IMPLICIT])]
    )
