"""Downloading: parallel, resumable, checksummed; a file is whole or not there."""

import hashlib
import subprocess

import pytest

import dgis.client as grid
from dgis.client.downloading import Wanted, download
from dgis.client.parts import arrivals
from dgis.client.transport import Transport

SERIES = "/dicom-web/studies/1.2.1/series/1.2.1.2"


def files(folder):
    return {path.stem: path.read_bytes() for path in folder.rglob("*.dcm")}


@pytest.fixture
def connected(server):
    with grid.connect(server.url) as connected:
        yield connected


def retrievals(server):
    return [path for path in server.asked if "/studies/" in path and not path.endswith("/instances")]


def test_files_and_their_checksums(server, connected, tmp_path):
    done = connected.studies().download(tmp_path)
    assert (done.fetched, done.there, done.files) == (23, 0, 23)
    got = files(tmp_path)
    assert got == {uid: server.bytes_of(uid) for uid in got}
    assert len(retrievals(server)) == 2 + 2  # three are asked for by name once the series is small
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, check=True)
    assert checked.stdout.count(b": OK") == 23
    assert not list(tmp_path.rglob(".part-*"))


def test_a_second_run_fetches_only_what_is_missing_or_damaged(server, connected, tmp_path):
    selection = connected.series(SeriesInstanceUID="1.2.1.2")
    selection.download(tmp_path)
    folder = tmp_path / "1.2.1" / "1.2.1.2"
    (folder / "1.2.1.2.5.dcm").unlink()
    (folder / "1.2.1.2.6.dcm").write_bytes(b"rot")
    (folder / ".part-left").write_bytes(b"half")
    server.asked.clear()
    done = selection.download(tmp_path)
    assert (done.fetched, done.there) == (2, 18)
    assert sorted(retrievals(server)) == [f"{SERIES}/instances/1.2.1.2.{number}" for number in (5, 6)]
    assert files(tmp_path)["1.2.1.2.6"] == server.bytes_of("1.2.1.2.6")
    assert not list(tmp_path.rglob(".part-*"))


def test_an_answer_that_is_cut_is_continued(server, tmp_path):
    server.faults[SERIES] = ["cut"]
    transport = Transport(server.url, None, sleep=lambda _: None)
    done = download(transport, [Wanted("1.2.1", "1.2.1.2")], tmp_path)
    assert done.fetched == 20
    assert server.asked[SERIES] == 2
    assert len(files(tmp_path)) == 20
    transport.close()


def test_one_series_that_fails_keeps_no_other_away(server, connected, tmp_path):
    server.faults[SERIES] = [403]
    with pytest.raises(grid.IncompleteError, match=r"1 of 2 series.*run it again") as raised:
        connected.series().download(tmp_path)
    assert "1.2.1.2" in str(raised.value)
    assert len(files(tmp_path)) == 3
    assert connected.series().download(tmp_path).files == 23


def test_only_the_instances_that_are_wanted(connected, tmp_path):
    connected.instances(SOPInstanceUID="1.2.1.2.4").download(tmp_path)
    assert list(files(tmp_path)) == ["1.2.1.2.4"]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_name_from_outside_is_no_path(server, connected, tmp_path):
    server.datasets[0]["SeriesInstanceUID"]._value = "../../escaped"
    with pytest.raises(grid.AnswerError, match="no valid SeriesInstanceUID"):
        connected.series().download(tmp_path)


BOUNDARY = 'multipart/related; type="application/dicom"; boundary=b'


@pytest.mark.parametrize(
    ("fields", "body", "words"),
    [
        ({"content-type": "text/html"}, b"<html>", "something else"),
        ({"content-type": BOUNDARY}, b"--b\r\n\r\nnot DICOM\r\n--b--\r\n", "no DICOM file"),
        ({"content-type": BOUNDARY}, b"--b\r\n\r\nDICM", "was cut"),
        ({}, b"", "something else"),
    ],
)
def test_an_answer_that_is_none_is_said_and_leaves_nothing(tmp_path, fields, body, words):
    with pytest.raises(grid.AnswerError, match=words):
        list(arrivals(fields, [body], tmp_path))
    assert not list(tmp_path.iterdir())


def test_what_nobody_asked_for_is_not_kept(server, tmp_path):
    """An answer about one instance that holds others."""
    transport = Transport(server.url, None)
    server.datasets[0].SOPInstanceUID = "1.2.1.2.99"
    server.datasets[0].SeriesInstanceUID = "1.2.1.2"
    with pytest.raises(grid.IncompleteError, match="1 instances that were found did not come"):
        download(transport, [Wanted("1.2.1", "1.2.1.2", frozenset({"1.2.1.2.99"}))], tmp_path)
    assert files(tmp_path) == {}
    transport.close()


def test_checksums_are_of_the_bytes(connected, tmp_path):
    connected.instances(SOPInstanceUID="1.2.1.1.1").download(tmp_path)
    line = (tmp_path / "SHA256SUMS").read_text()
    (path,) = tmp_path.rglob("*.dcm")
    assert line == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  1.2.1/1.2.1.1/1.2.1.1.1.dcm\n"
