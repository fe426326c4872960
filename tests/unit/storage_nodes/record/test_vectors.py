import json
from pathlib import Path

import pytest

from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.verify import verify_record
from storage_nodes.record.writer import codec_versions
from tests.unit.storage_nodes.record.builders import assert_equal
from tests.unit.storage_nodes.record.vectors import VECTORS, contents, make

VERSION_1 = Path(__file__).parents[3] / "vectors" / "record-v1"
RECORDS = sorted(VERSION_1.glob("*.zip"))


@pytest.fixture(params=RECORDS, ids=lambda path: path.stem)
def frozen(request):
    path = request.param
    return path.read_bytes(), json.loads(path.with_suffix(".json").read_text())


def test_no_vector_is_lost():
    assert [path.stem for path in RECORDS] == sorted(VECTORS)


def test_old_records_are_read_for_ever(frozen):
    data, expected = frozen
    digest = expected.pop("sha256")
    report = verify_record(BufferSource(data))
    assert (report.problems, report.sha256.hex()) == ((), digest)
    assert contents(RecordReader(BufferSource(data))) == expected


@pytest.mark.parametrize("name", VECTORS)
def test_old_records_hold_what_was_packed_then(name):
    data = (VERSION_1 / f"{name}.zip").read_bytes()
    assert_equal(RecordReader(BufferSource(data)), VECTORS[name])


@pytest.mark.parametrize("name", VECTORS)
def test_the_same_libraries_write_the_same_bytes_today(name):
    data = (VERSION_1 / f"{name}.zip").read_bytes()
    if RecordReader(BufferSource(data)).manifest.writer != codec_versions():
        pytest.skip("the codec libraries are others than when the vectors were frozen")
    assert b"".join(make(name).body) == data


def test_the_vectors_show_every_codec_and_both_servable_syntaxes():
    instances = [
        instance
        for path in RECORDS
        for instance in json.loads(path.with_suffix(".json").read_text())["instances"]
    ]
    shown = {
        (payload["codec"], payload["served_as"] and payload["served_as"]["transfer_syntax"])
        for instance in instances
        for payload in instance["payloads"]
    }
    assert shown >= {
        ("raw", "1.2.840.10008.1.2.4.50"),
        ("raw", None),
        ("zstd", None),
        ("htj2k", None),
        ("htj2k", "1.2.840.10008.1.2.4.201"),
        ("htj2k", "1.2.840.10008.1.2.4.202"),
    }
