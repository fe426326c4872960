"""The pure parts of `make bench`: verdicts, tables, the history, and what is sent."""

import json
import socket

import pytest
from pydicom import dcmread

from tests.bench.association import Association, message, store_message
from tests.bench.figures import Figure, Target, Verdict, judge
from tests.bench.images import synthetic, write_files
from tests.bench.report import document, last_figures, remember, table, verdicts
from tests.bench.targets import TARGETS
from tests.tools import wire
from tests.tools.link import Link

FIGURES = [
    Figure("store", "CT x1", "images/s", "gateway", (300, 500, 400)),
    Figure("store", "CT x1", "images/s", "Orthanc", (250, 200, 150)),
]


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (Target("store", "CT x1", "images/s", 2, to="Orthanc"), 2.0, Verdict.MET),
        (Target("store", "CT x1", "images/s", 2.1, to="Orthanc"), 2.0, Verdict.NOT_MET),
        (Target("store", "CT x1", "images/s", 400, at_least=False), 400, Verdict.MET),
        (Target("store", "CT x1", "images/s", 399, at_least=False), 400, Verdict.NOT_MET),
        (Target("store", "CT x1", "images/s", 1, to="nobody"), None, Verdict.NOT_MEASURED),
        (Target("store", "MR x1", "images/s", 1), None, Verdict.NOT_MEASURED),
    ],
)
def test_a_target_is_met_not_met_or_not_measured(target, value, verdict):
    (judged,) = judge([target], FIGURES)
    assert (judged.value, judged.verdict) == (value, verdict)


def test_every_target_is_one_of_its_own_and_a_comparison_names_somebody_else():
    keys = [(each.part, each.what, each.unit, each.who) for each in TARGETS]
    assert len(keys) == len(set(keys))
    assert all(each.to != each.who for each in TARGETS)


def test_a_run_is_remembered_and_the_next_one_shown_beside_it(tmp_path):
    history = tmp_path / "var" / "history.jsonl"
    assert last_figures(history) == []
    targets = [Target("store", "CT x1", "images/s", 3, to="Orthanc")]
    remember(history, document(FIGURES, targets, ["no storescp"], 12.4))
    faster = [Figure("store", "CT x1", "images/s", "gateway", (600,))]
    shown = table(faster, last_figures(history))
    assert "+50%" in shown
    assert [each.split()[-1] for each in table(FIGURES).splitlines() if "Orthanc" in each] == ["2"]
    (run,) = map(json.loads, history.read_text().splitlines())
    assert run["targets"][0]["verdict"] == "NOT MET"
    assert run["absent"] == ["no storescp"]
    assert "NOT MET" in verdicts(judge(targets, FIGURES))


def test_a_series_is_another_in_every_round_and_otherwise_the_same(tmp_path):
    series = synthetic("PT", 3)
    first, second = series.fresh(), series.fresh()
    assert {each.uid for each in first.images}.isdisjoint(each.uid for each in second.images)
    files = [dcmread(path) for path in write_files(first.images, tmp_path)]
    again = [dcmread(path) for path in write_files(second.images, tmp_path / "again")]
    assert [each.SOPInstanceUID for each in files] == [each.uid for each in first.images]
    assert {each.SeriesInstanceUID for each in files} == {first.series_uid}
    assert {each.StudyInstanceUID for each in files} == {first.study_uid}
    assert [each.PixelData for each in files] == [each.PixelData for each in again]
    assert all(len(dataset.PixelData) == 128 * 128 * 2 for dataset in files)


@pytest.mark.parametrize("length", [0, 1, 993, 994, 995, 2000])
def test_a_message_is_what_another_reader_of_the_protocol_makes_of_it(length):
    data = bytes(range(256)) * 8
    raw = store_message(5, 1000, "1.2.3", "1.2.3.4", data[:length])
    ours, theirs = _tcp_pair()
    ours.sendall(raw)
    link = Link(theirs, 10)
    received = link.receive()
    link.close()
    ours.close()
    assert (received.context, received.data) == (5, data[:length])
    assert received.command["AffectedSOPInstanceUID"] == "1.2.3.4"


def test_an_association_reads_messages_that_come_in_pieces_or_together():
    ours, theirs = _tcp_pair()
    reader = Association(ours)
    both = store_message(1, 64, "1.2.3", "1.2.3.4", bytes(500)) + message(
        3, 64, {"CommandField": 0x8030, "MessageIDBeingRespondedTo": 1, "Status": 0}
    )
    for at in range(0, len(both), 7):
        theirs.sendall(both[at : at + 7])
    context, command, data = reader.message()
    assert (context, command["AffectedSOPInstanceUID"], data) == (1, "1.2.3.4", bytes(500))
    assert reader.message(keep=False)[1]["Status"] == 0
    theirs.sendall(wire.pdu(wire.RELEASE_RP, bytes(4)))
    assert reader.message() == (wire.RELEASE_RP, None, 0)
    theirs.close()
    with pytest.raises(ConnectionError):
        reader.message()
    ours.close()


def _tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    return ours, theirs
