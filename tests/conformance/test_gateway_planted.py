"""The planted corpus through a real gateway: nothing of it lies in clear where others may look.

Every file goes in by C-STORE and is published on folder nodes; then all that leaves the hospital is hunted:
records as they lie and unpacked, sealed companions, names of all objects, all tables of the catalog but those
of originals, the audit trail, logs, and what a caller without clearance finds and is sent.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass

import pytest

from deid.profile import NEWEST_EDITION
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.unpack import unpack
from tests.gateway import Gateway
from tests.planted import Hunter, write_corpus
from tests.tools import files
from tests.tools.corpus_run import send_as_they_are
from tests.tools.fetching import RESEARCH, find, get_everything, studies, with_native_forms
from tests.tools.report import show

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("gateway-planted")]

SEED = 20261130
# What a database holds of originals: rows that row security keeps apart, and the way into the cache.
OF_ORIGINALS = {"phi_patient", "phi_name_word", "phi_study", "phi_series", "phi_instance", "cache_instance"}


@dataclass(frozen=True)
class Run:
    """A gateway that published the corpus, and the means to look for it."""

    gateway: Gateway
    hunter: Hunter
    status: dict
    pairs: list

    def found(self, where):
        return [str(leak) for leak in self.hunter.leaks(where)]

    def objects(self, *, sealed):
        paths = (path for path in sorted((self.gateway.home / "nodes").rglob("*")) if path.is_file())
        return [path for path in paths if ("-sealed" in str(path)) is sealed]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    corpus = write_corpus(folder, SEED)
    sent = [file for file in (files.read(folder / one.name) for one in corpus.files) if file]
    assert len(sent) == len(corpus.files)
    with Gateway() as gateway:
        send_as_they_are(gateway.address, sent)
        gateway.wait_published()
        pairs = with_native_forms((one.sop_class_uid, one.transfer_syntax) for one in sent)
        yield Run(gateway, Hunter(corpus.canaries), gateway.json("status"), pairs)


def test_the_corpus_was_published(run, request):
    said = run.status["catalog"]
    show(
        request,
        f"{said['received']} received, {said['published']} published, {said['withheld']} sealed whole",
    )
    assert said["pending"] == 0
    assert said["published"] > 100
    assert said["withheld"] > 20


def test_records_hold_nothing(run, tmp_path):
    """As they lie, and unpacked: frames are coded, headers packed."""
    objects = run.objects(sealed=False)
    assert len(objects) > 12
    for number, path in enumerate(objects):
        raw = path.read_bytes()
        assert run.found(raw) == []
        if "node-a" in path.parts:
            reader = RecordReader(BufferSource(raw))
            assert reader.manifest.about["edition"] == NEWEST_EDITION
            list(unpack(reader, tmp_path / str(number)))
    unpacked = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(unpacked) == run.status["catalog"]["published"]
    assert run.found(tmp_path) == []


def test_sealed_companions_and_names_of_objects_hold_nothing(run):
    objects = run.objects(sealed=True)
    assert len(objects) > 12
    assert [found for path in objects for found in run.found(path.read_bytes())] == []
    names = (str(path.relative_to(run.gateway.home)) for path in [*objects, *run.objects(sealed=False)])
    assert run.found("\n".join(names).encode()) == []


def test_tables_that_are_not_of_originals_hold_nothing(run):
    with closing(sqlite3.connect(run.gateway.home / "catalog.sqlite")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        dumped = {name: dump(database.execute(f'SELECT * FROM "{name}"')) for name in tables}
    assert {"deid_patient", "deid_study", "deid_series", "deid_instance", "audit"} <= dumped.keys()
    assert len(dumped["deid_instance"]) > 10_000
    assert run.found({name: raw for name, raw in dumped.items() if name not in OF_ORIGINALS}) == []
    as_sent = OF_ORIGINALS - {"phi_name_word"}  # words of names lie there folded, as they are compared
    assert {name for name in as_sent if run.found(dumped[name])} == as_sent  # so the hunt is one


def dump(rows):
    """The values of a table, as text and as bytes."""
    cells = [cell for row in rows for cell in row if cell is not None]
    return b"\n".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in cells)


def test_logs_and_what_the_commands_say_hold_nothing(run):
    said = [run.gateway.log(), *(run.gateway.cli(*command).stdout for command in COMMANDS)]
    assert all(said)
    assert run.found("\n".join(said).encode()) == []


COMMANDS = (
    ("status",),
    ("series", "list"),
    ("audit", "list", "--limit", "1000"),
    ("conflicts", "list"),
    ("node", "list"),
    ("review", "list"),
    ("doctor",),
)


def test_a_caller_without_clearance_finds_and_is_sent_nothing_of_it(run):
    address = run.gateway.address
    answers = []
    for study in studies(address, RESEARCH):
        answers += found_at(address, "STUDY", STUDY_KEYS, StudyInstanceUID=study)
        listed = found_at(address, "SERIES", SERIES_KEYS, StudyInstanceUID=study)
        for uid in {one.SeriesInstanceUID for one in listed}:
            answers += found_at(address, "IMAGE", IMAGE_KEYS, StudyInstanceUID=study, SeriesInstanceUID=uid)
        answers += listed
    assert len(answers) > run.status["catalog"]["published"]
    assert run.found("\n".join(map(str, answers)).encode()) == []
    received = get_everything(address, RESEARCH, run.pairs)
    assert len(received) == run.status["catalog"]["published"]
    assert run.found({str(number): one.dataset for number, one in enumerate(received)}) == []


STUDY_KEYS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "StudyDate",
    "StudyDescription",
    "AccessionNumber",
)
SERIES_KEYS = ("SeriesInstanceUID", "SeriesDescription", "Modality", "SeriesDate", "BodyPartExamined")
IMAGE_KEYS = ("SOPInstanceUID", "InstanceNumber", "ImageType", "SOPClassUID")


def found_at(address, level, keys, **given):
    outcome = find(address, RESEARCH, level, **{**dict.fromkeys(keys, ""), **given})
    assert outcome.status == 0
    assert outcome.identifiers
    return outcome.identifiers
