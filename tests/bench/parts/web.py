"""The web door beside Orthanc's DICOMweb plugin: searches, and a CT series given out and taken in."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import httpx

from storage_nodes.record.part10 import file_head
from tests.bench import peers
from tests.bench.bench import Bench
from tests.bench.figures import GATEWAY
from tests.bench.http import Asked, Connection, arrive, saturate
from tests.bench.images import Image, Sent, real
from tests.bench.machine import settle
from tests.bench.peers import NEVER, Server, server_of
from tests.bench.sender import Senders
from tests.bench.targets import BYTES, CPU, FAILED, ONE_STUDY, P99, RATE, SECOND
from tests.gateway import Gateway, wait_until
from tests.tools.credentials import PASSCODE
from tests.tools.stow import RELATED, body

PART = "web"
_KIND = "CT abdomen"
_CONNECTIONS, _ARRIVING = 8, 64
_ARRIVALS = 300  # a second
_SECONDS = 5.0
_ROOT = "/dicom-web"
_STUDY, _SERIES = "0020000D", "0020000E"
_RECORDS = "records"  # a gateway that has nothing of the series in its cache
_UNBOUNDED = {"DGIS__WEB__RATES__ADDRESS_PER_SECOND": "0", "DGIS__WEB__RATES__CALLER_PER_SECOND": "0"}
_AS_IT_LIES = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_AFTER_SECONDS = 0.7  # rows are written behind the answer

Fields = Mapping[str, str]
Callers = Mapping[str, Fields]
CLEARED, OTHER = "cleared", "other"
_SEARCHES = {OTHER: ONE_STUDY, CLEARED: f"{ONE_STUDY}, originals"}


def run(bench: Bench) -> None:
    """Measure the same requests at every server in turn."""
    series = real(_KIND, bench.sizes.images).fresh()
    with bench.servers(_gateway, partial(_records, series), partial(peers.orthanc, web=True)) as servers:
        callers = {server.name: _callers(server) for server in servers}
        storing = [server for server in servers if server.name != _RECORDS]
        for server in storing:
            _send(server, series)
        settle()
        for number in range(bench.sizes.rounds + 1):
            counts = bench if number else Bench(bench.sizes)  # the first time warms everybody
            bench.say(f"{PART}: round {number}")
            for caller in _SEARCHES:
                for server in servers:
                    if server.name != GATEWAY:  # what is searched is published
                        _search(counts, server, caller, callers[server.name][caller])
            for server in servers:
                _give(counts, server, series, callers[server.name])
            stowed = real(_KIND, bench.sizes.images).fresh()
            for server in storing:
                _take(counts, server, stowed, callers[server.name][CLEARED])


def _search(bench: Bench, server: Server, caller: str, fields: Fields) -> None:
    (found,) = _json(server, "/studies?limit=1", fields)
    asked = Asked(f"{_ROOT}/studies?StudyInstanceUID={found[_STUDY]['Value'][0]}", fields)
    what, who = _SEARCHES[caller], _who(server)
    before = server.cpu_seconds()
    rush = saturate(server.web, asked, _CONNECTIONS, _SECONDS)
    used = server.cpu_seconds() - before
    bench.add(PART, f"{what} x{_CONNECTIONS}", SECOND, who, rush.rate)
    bench.add(PART, f"{what} x{_CONNECTIONS}", P99, who, rush.p99 * 1000)
    bench.add(PART, f"{what} x{_CONNECTIONS}", "CPU ms", who, used / len(rush.latencies) * 1000)
    steady = arrive(server.web, asked, _ARRIVING, _ARRIVALS, _SECONDS)
    bench.add(PART, f"{what}, {_ARRIVALS} arrivals a second", P99, who, steady.p99 * 1000)
    bench.add(PART, what, FAILED, who, rush.failed + steady.failed)


def _give(bench: Bench, server: Server, series: Sent, callers: Callers) -> None:
    """Have the series given out: what a peer has on disk is compared with cache and records."""
    cache, records = "WADO-RS of CT from cache", "WADO-RS of CT from records"
    works = {GATEWAY: (cache,), _RECORDS: (records,)}.get(server.name, (cache, records))
    path = f"/studies/{series.study_uid}/series/{series.series_uid}"
    length = _given(bench, server, works, Asked(_ROOT + path, {**callers[CLEARED], **_AS_IT_LIES}))
    assert length >= series.size_bytes, f"{server.name}: {length} bytes of {series.size_bytes}"
    if server.name == _RECORDS:
        (found,) = _json(server, "/series?limit=1", callers[OTHER])
        path = f"/studies/{found[_STUDY]['Value'][0]}/series/{found[_SERIES]['Value'][0]}"
        asked = Asked(_ROOT + path, {**callers[OTHER], **_AS_IT_LIES})
        _given(bench, server, ("WADO-RS of CT from records, de-identified",), asked)


def _given(bench: Bench, server: Server, works: Sequence[str], asked: Asked) -> int:
    """Measure one answer; return how long its body was."""
    before = server.cpu_seconds()
    with Connection(server.web) as connection:
        began = time.perf_counter()
        length = connection.ask(asked)
        seconds = time.perf_counter() - began
    used = server.cpu_seconds() - before
    for what in works:
        bench.add(PART, what, BYTES, _who(server), length / 1e6 / seconds)
        bench.add(PART, what, "CPU s/GB", _who(server), used / length * 1e9)
    return length


def _take(bench: Bench, server: Server, series: Sent, fields: Fields) -> None:
    said = {**fields, "Content-Type": RELATED, "Accept": "application/dicom+json"}
    asked = Asked(f"{_ROOT}/studies", said, "POST", body(*map(_file, series.images)))
    settle()
    before = server.cpu_seconds()
    with Connection(server.web) as connection:
        began = time.perf_counter()
        connection.ask(asked)
        seconds = time.perf_counter() - began
    time.sleep(_AFTER_SECONDS)
    used = server.cpu_seconds() - before
    images = len(series.images)
    path = f"/studies/{series.study_uid}/instances?limit=10000"
    wait_until(lambda: len(_json(server, path, fields)) == images, 60, f"{server.name} has all images")
    bench.add(PART, "STOW-RS of CT", RATE, server.name, images / seconds)
    bench.add(PART, "STOW-RS of CT", CPU, server.name, used / images * 1000)


def _file(image: Image) -> bytes:
    return file_head(image.sop_class_uid, image.uid, image.syntax) + image.dataset


def _json(server: Server, path: str, fields: Fields) -> list[dict]:
    url = f"http://{server.web[0]}:{server.web[1]}{_ROOT}{path}"
    answer = httpx.get(url, headers={**fields, "Accept": "application/dicom+json"}, timeout=60)
    answer.raise_for_status()
    return answer.json()


def _who(server: Server) -> str:
    return GATEWAY if server.name == _RECORDS else server.name


@contextmanager
def _gateway() -> Iterator[Server]:
    """Run a gateway that keeps what it has in its cache, and publishes nothing."""
    with Gateway({**NEVER, **_UNBOUNDED}, fresh=True) as own:
        _add_accounts(own)
        yield server_of(own, GATEWAY)


@contextmanager
def _records(series: Sent) -> Iterator[Server]:
    """Run a gateway that has published the series and has nothing of it in its cache."""
    with Gateway(_UNBOUNDED, fresh=True) as own:
        _add_accounts(own)
        server = server_of(own, _RECORDS)
        _send(server, series)
        own.wait_published(300)
        own.cli("cache", "evict", "--all")
        yield server


def _add_accounts(own: Gateway) -> None:
    rights = ("--may", "find", "--may", "retrieve")
    hospital = (
        "--institution",
        "Demo Hospital",
        "--department",
        "Radiology",
        "--may",
        "phi",
        "--may",
        "store",
    )
    for name, further in ((CLEARED, hospital), (OTHER, ())):
        own.cli("account", "add", name, *rights, *further, typed=f"{PASSCODE}\n")


def _callers(server: Server) -> Callers:
    """Return how callers say who they are; Orthanc asks nobody."""
    if server.name not in {GATEWAY, _RECORDS}:
        return {CLEARED: {}, OTHER: {}}
    url = f"http://{server.web[0]}:{server.web[1]}/api/credential"
    answers = {name: httpx.post(url, json={}, auth=(name, PASSCODE), timeout=60) for name in (CLEARED, OTHER)}
    return {
        name: {"Authorization": f"Bearer {each.json()['access_token']}"} for name, each in answers.items()
    }


def _send(server: Server, series: Sent) -> None:
    Senders(server.address, server.calling, server.called, [series.images]).send()
