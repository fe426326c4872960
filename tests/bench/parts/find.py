"""C-FIND of 14 keys with counts, the full decision on, in a catalog of a hundred thousand studies."""

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import psycopg
import pytest

from tests.bench import load, peers
from tests.bench.association import Association
from tests.bench.bench import Bench
from tests.bench.figures import GATEWAY
from tests.bench.homes import full_gateway
from tests.bench.images import Image
from tests.bench.load import CT, Study
from tests.bench.peers import NEVER, AbsentError, Server, server_of
from tests.bench.sender import Senders
from tests.bench.targets import MEDIAN, PREFIX
from tests.gateway import Gateway
from tests.postgres import running_postgres
from tests.tools import wire
from tests.tools.client import FIND, ROOT, encode, query

PART, ON_POSTGRESQL = "find", "find-postgresql"
KEYS = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
_SOP_CLASS = ROOT["study"] + FIND
_TIMES = 20  # a question a round; the median of them counts
_RESEARCH = "RESEARCH_1"

Ask = Callable[[random.Random, int], dict[str, str]]
QUESTIONS: dict[str, tuple[Ask, int | None]] = {
    "exact key": (lambda rng, total: {"PatientID": _any(rng, total).patient_id}, 1),
    "exact accession": (lambda rng, total: {"AccessionNumber": f"ACC{rng.randrange(total)}"}, 1),
    "100 hits by date": (lambda rng, total: {"StudyDate": _any(rng, total).date}, load.A_DAY),
    PREFIX: (lambda _rng, _total: {"PatientName": "SMITH^*"}, load.SMITHS),
    "no match": (lambda _rng, _total: {"PatientID": "NOSUCH"}, 0),
}
"""What is asked, and how many matches it has."""


def run(bench: Bench) -> None:
    """Measure; a peer holds fewer studies, which its name says."""
    sizes = bench.sizes
    with full_gateway(sizes.studies) as (server, _):
        _measure(bench, PART, server, sizes.studies)
        _uncleared(bench, server, sizes.studies)
    try:
        with _filled_orthanc(bench, sizes.peer_studies) as peer:
            _measure(bench, PART, peer, sizes.peer_studies)
    except AbsentError as error:
        bench.lacks(str(error))
    if sizes.postgres_studies:
        _on_postgresql(bench, sizes.postgres_studies)


def _measure(bench: Bench, part: str, server: Server, total: int) -> None:
    rng = random.Random(1)
    link = _open(server)
    for what, (ask, matches) in QUESTIONS.items():
        bench.say(f"{part}: {server.name}, {what}")
        _timed(link, ask(rng, total), matches)
        for _ in range(bench.sizes.rounds):
            before = server.cpu_seconds()
            times = [_timed(link, ask(rng, total), matches) for _ in range(_TIMES)]
            used = (server.cpu_seconds() - before) / _TIMES * 1000
            bench.add(part, what, MEDIAN, server.name, statistics.median(times))
            bench.add(part, what, "CPU ms", server.name, used)
    link.release()


def _uncleared(bench: Bench, server: Server, total: int) -> None:
    """Measure what somebody sees who is shown the de-identified rows alone."""
    link = _open(server, _RESEARCH)
    rng = random.Random(2)
    for _ in range(bench.sizes.rounds):
        times = [_timed(link, {"StudyDate": _any(rng, total).hidden_date}, load.A_DAY) for _ in range(_TIMES)]
        bench.add(PART, "100 hits by date, uncleared", MEDIAN, server.name, statistics.median(times))
    link.release()


def _timed(link: Association, given: dict[str, str], matches: int | None) -> float:
    """Return milliseconds until the last response."""
    identifier = encode(query("STUDY", **{key: given.get(key, "") for key in KEYS}))
    began = time.perf_counter()
    found = link.find(1, _SOP_CLASS, identifier)
    took = (time.perf_counter() - began) * 1000
    assert matches is None or found == matches, f"{found} matches, not {matches}"
    return took


def _open(server: Server, calling: str | None = None) -> Association:
    contexts = [(_SOP_CLASS, [wire.IMPLICIT])]
    return Association.request(server.address, calling or server.calling, server.called, contexts)


def _any(rng: random.Random, total: int) -> Study:
    return Study(rng.randrange(total), total)


@contextmanager
def _filled_orthanc(bench: Bench, total: int) -> Iterator[Server]:
    with peers.orthanc() as server:
        bench.say(f"{PART}: storing {total:,} studies in {server.name}")
        numbers = [range(first, total, 4) for first in range(4)]
        slices = [[_image(number, total) for number in some] for some in numbers]
        Senders(server.address, server.calling, server.called, slices).send()
        name = f"{server.name}, {total:,}"
        yield Server(name, server.address, server.called, server.pid)


def _image(number: int, total: int) -> Image:
    study = Study(number, total)
    return Image(CT, study.image_uid(1), wire.EXPLICIT, study.image(1))


def _on_postgresql(bench: Bench, total: int) -> None:
    try:
        with running_postgres() as postgres, postgres.database() as url:
            own = Gateway(NEVER, database_url=url, fresh=True)
            try:
                own.start()
                own.stop()
                with mock.patch.dict(os.environ, {"DGIS__CATALOG__URL": url}):
                    load.fill(own.home, total)
                with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as link:
                    link.execute("ANALYZE")
                own.start()
                _measure(bench, ON_POSTGRESQL, server_of(own, GATEWAY), total)
            finally:
                own.discard()
    except pytest.skip.Exception as missing:
        bench.lacks(str(missing))
