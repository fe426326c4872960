"""`dgis find` and `dgis fetch` with a gateway elsewhere, and volumes from either."""

import json

import nibabel
import numpy as np
import pytest
import zarr
from typer.testing import CliRunner

from dgis.cli.main import app
from tests.tools.dicomweb_server import DicomwebServer
from tests.unit.dgis.client.conftest import series

SERIES = "/dicom-web/studies/1.2.1/series/1.2.1.1"


@pytest.fixture
def server():
    with DicomwebServer([*series(1, 3), *series(2, 6)], token="secret") as server:
        yield server


@pytest.fixture
def elsewhere(server, tmp_path):
    """Runs a command at the server; returns its exit code and what it printed as JSON."""
    credential = tmp_path / "credential"
    credential.write_text("secret")

    def run(*arguments, code=0):
        command = [*arguments, "--url", server.url, "--credential", str(credential), "--json"]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == code, done.output + repr(done.exception)
        return json.loads(done.stdout) if done.stdout else done.stderr

    return run


def test_find(elsewhere):
    rows = elsewhere("find", "series", "-k", "Modality=CT", "-k", "BodyPartExamined")
    assert [row["SeriesInstanceUID"] for row in rows] == ["1.2.1.1", "1.2.1.2"]
    assert elsewhere("find", "image", "-k", "SeriesInstanceUID=1.2.1.2", "--limit", "4")[3:]
    assert "no search for patients" in elsewhere("find", "patient", code=1)


def test_fetch_and_fetch_again(server, elsewhere, tmp_path):
    out = tmp_path / "out"
    assert elsewhere("fetch", "1.2.1", "--to", str(out))["fetched"] == 9
    (out / "1.2.1/1.2.1.1/1.2.1.1.2.dcm").write_bytes(b"rot")
    server.asked.clear()
    said = elsewhere("fetch", "1.2.1", "--to", str(out))
    assert (said["fetched"], said["there"], said["failed"]) == (1, 8, 0)
    assert server.asked[f"{SERIES}/instances/1.2.1.1.2"] == 1


def test_what_fails_is_exit_code_1_and_words(server, elsewhere, tmp_path):
    server.faults[SERIES] = server.faults[f"{SERIES}/instances"] = [403]
    said = elsewhere("fetch", "1.2.1", "--to", str(tmp_path / "out"), code=1)
    assert (said["files"], said["failed"]) == (6, 1)
    assert said["told"][0].startswith("1.2.1.1: this login may not do that")
    assert "nothing by that UID" in elsewhere("fetch", "1.9", "--to", str(tmp_path / "out"), code=1)


@pytest.mark.parametrize("form", ["nifti", "numpy", "zarr"])
def test_volumes_and_again(server, elsewhere, tmp_path, form):
    out = tmp_path / "out"
    said = elsewhere("fetch", "1.2.1", "--to", str(out), "--as", form)
    assert (said["volumes"], said["series"], said["failed"]) == (2, 2, 0)
    folder = out / "1.2.1" / "1.2.1.1"
    read = {
        "nifti": lambda: nibabel.load(folder / "volume-1.nii.gz").get_fdata().T,
        "numpy": lambda: np.load(folder / "volume-1.npy"),
        "zarr": lambda: zarr.open_group(folder / "volume-1.zarr", mode="r")["0"][:],
    }[form]
    assert read()[:, 0, 0].tolist() == [-1000, -950, -900]
    assert json.loads((folder / "volume-1.json").read_text())["spacing"] == [5, 2, 3]
    assert not list(out.rglob(".dicom"))
    server.asked.clear()
    again = elsewhere("fetch", "1.2.1", "--to", str(out), "--as", form)
    assert again["there"] == 2
    assert not [path for path in server.asked if path.endswith("1.2.1.1")]
    next(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json").write_bytes(b"rot")
    assert elsewhere("fetch", "1.2.1", "--to", str(out), "--as", form)["there"] == 1
    assert read()[:, 0, 0].tolist() == [-1000, -950, -900]


def test_a_cohort_from_elsewhere(server, elsewhere, tmp_path):
    path = str(tmp_path / "cohort.json")
    assert elsewhere("cohort", "make", path, "-k", "Modality=CT")["total"] == 9
    assert elsewhere("cohort", "verify", path)["same"]
    assert elsewhere("cohort", "fetch", path, "--to", str(tmp_path / "out"))["files"] == 9
    del server.datasets[:3], server.files[:3]
    assert elsewhere("cohort", "verify", path, code=1)["missing"] == ["1.2.1.1"]
    said = elsewhere("cohort", "fetch", path, "--to", str(tmp_path / "other"), code=1)
    assert (said["files"], said["failed"]) == (6, 1)


def test_a_login_that_is_none_is_said(server, tmp_path):
    done = CliRunner().invoke(app, ["fetch", "1.2.1", "--to", str(tmp_path), "--url", server.url])
    assert done.exit_code == 1
    assert "does not know this login" in " ".join(done.stderr.split())
    alone = CliRunner().invoke(app, ["find", "study", "--account", "me"])
    assert alone.exit_code == 2
