import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from dgis import settings
from dgis.cli.main import app
from dgis.demo import kinds
from dgis.demo.people import PEOPLE
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import phantom

PATIENT = PEOPLE[0]


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch):
    for name in list(settings.os.environ):
        if name.startswith("DGIS__"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def home():
    """One published series; commands here only look at it."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:  # short: it holds a Unix socket
        made = Home(Path(folder) / "h")
        made.folder.mkdir()
        made.receive(phantom(3))
        made.publish()
        yield made


def changed(image):
    return replace(image, dataset=image.dataset[:-2] + b"\7\7")


def secrets_of(images):
    return [PATIENT.patient_id, PATIENT.name.split("^")[0], PATIENT.birth_date, PATIENT.accession_number] + [
        image.sop_instance_uid for image in images
    ]


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("series", "list"),
        ("cache", "status"),
        ("cache", "evict"),
        ("conflicts", "list"),
        ("conflicts", "list", "--decided"),
        ("node", "list"),
        ("find", "patient"),
        ("find", "study"),
        ("find", "series"),
        ("find", "image"),
        ("config", "show"),
        ("config", "check"),
        ("keys", "init"),
        ("wait", "--timeout", "0"),
        ("repair",),
        ("scrub",),
    ],
    ids=" ".join,
)
def test_every_command_answers_people_and_scripts_and_tells_no_identity(home, command):
    told = home.run(*command)
    assert told.exit_code == 0, told.output + repr(told.exception)
    home.json(*command)
    shown = told.output + home.run(*command, "--json").output
    assert not [text for text in secrets_of(phantom(3)) if text in shown]


def test_status_says_where_everything_is(home):
    status = home.json("status")
    assert status["catalog"]["received"] == status["catalog"]["published"] == 3
    assert status["parts"]["published"] == 1
    assert status["copies"]["available"] >= 4
    assert home.json("wait")["pending"] == {"unindexed": 0, "series": 0}


def test_a_series_is_shown_by_its_pseudonym_and_no_other(home):
    (row,) = home.json("series", "list")
    assert (row["state"], row["instances"], row["pending"]) == ("published", 3, 0)
    shown = home.json("series", "show", row["series"])
    removed, records = shown.pop("removed"), shown.pop("records")
    assert shown.pop("merge") is None
    assert shown == row
    assert removed
    assert len(records) == 1
    assert all(" (" in words for words in removed)
    assert home.run("series", "show", phantom(3)[0].series_uid).exit_code == 1


def test_find_tells_the_cleared_who_it_is_and_others_a_pseudonym(home):
    (cleared,) = home.json("find", "study", "-k", "PatientID", cleared=True)
    (uncleared,) = home.json("find", "study", "-k", "PatientID")
    assert cleared["PatientID"] == PATIENT.patient_id
    assert uncleared["PatientID"] not in ("", PATIENT.patient_id)
    assert home.json("find", "study", "-k", f"PatientID={PATIENT.patient_id}") == []
    assert "…" not in home.run("find", "study", "-k", "PatientID", cleared=True).output


def test_what_lies_here_is_fetched_as_volumes_too(home, tmp_path):
    (study,) = home.json("find", "study")
    said = home.json("fetch", study["StudyInstanceUID"], "--to", str(tmp_path), "--as", "numpy")
    assert (said["volumes"], said["files"], said["failed"]) == (1, 3, 0)
    (voxels,) = tmp_path.rglob("volume-1.npy")
    told = json.loads(voxels.with_suffix(".json").read_text())
    assert np.load(voxels).shape[0] == 3
    assert told["units"] == "BQML"
    assert [path.name for path in tmp_path.iterdir()] == [voxels.parent.name]


@pytest.mark.parametrize("arguments", [("find", "galaxy"), ("fetch",), ("conflicts", "keep", "x", "other")])
def test_wrong_usage_is_exit_code_2(home, arguments):
    assert home.run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["full-dates", "modified-dates"], ["full-dates", "modified-dates"]),
        (["coarse-times"], ["coarse-times", "modified-dates", "full-dates"]),
        (["everything"], ["everything", "safe-private", "coarse-times"]),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(tmp_path, options, named):
    config = tmp_path / "dgis.toml"
    config.write_text(f"[deid]\noptions = {json.dumps(options)}\n")
    done = CliRunner().invoke(app, ["config", "check", "--home", str(tmp_path), "--config", str(config)])
    assert done.exit_code == 1
    assert "deid.options" in done.output
    assert not [name for name in named if name not in done.output]


def test_a_rules_file_that_states_no_rule_is_refused_by_name(tmp_path):
    rules, config = tmp_path / "rules", tmp_path / "dgis.toml"
    rules.write_text("perhaps\t*\t*\t*\t*\t*\n")
    config.write_text(f"[deid]\nrules_file = {json.dumps(str(rules))}\n")
    done = CliRunner().invoke(app, ["config", "check", "--home", str(tmp_path), "--config", str(config)])
    assert done.exit_code == 1
    assert "deid.rules_file" in done.output


def test_a_key_nobody_knows_is_refused_in_words(home):
    done = home.run("find", "study", "-k", "NoSuchKeyword=1")
    assert done.exit_code in (0, 1)
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_fetch_gives_originals_to_the_cleared_only(home, tmp_path):
    images = phantom(3)
    stop = home.worker()
    try:
        done = home.json("fetch", images[0].series_uid, "--to", str(tmp_path / "own"), cleared=True)
    finally:
        stop()
    assert (done["files"], done["failed"]) == (3, 0)
    for image in images:
        file = (tmp_path / "own" / f"{image.sop_instance_uid}.dcm").read_bytes()
        assert file.endswith(image.dataset)
    refused = home.run("fetch", images[0].series_uid, "--to", str(tmp_path / "none"))
    assert refused.exit_code == 1
    assert "nothing by that UID" in refused.output


def test_fetch_by_pseudonym_gives_the_deidentified_form(home, tmp_path):
    (study,) = home.json("find", "study")
    done = home.json("fetch", study["StudyInstanceUID"], "--to", str(tmp_path))
    assert done["files"] == 3
    for path in tmp_path.iterdir():
        assert not [text for text in secrets_of(phantom(3)) if text.encode() in path.read_bytes()]
        assert dcmread(path).PatientIdentityRemoved == "YES"


def test_fetch_into_what_is_no_folder_is_said_in_words(home, tmp_path):
    (tmp_path / "file").touch()
    (study,) = home.json("find", "study")
    done = home.run("fetch", study["StudyInstanceUID"], "--to", str(tmp_path / "file"))
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)


def test_a_record_is_read_without_a_gateway(home, tmp_path):
    (record,) = (path for path in (home.folder / "nodes" / "node-a").rglob("*") if path.is_file())

    def run(*arguments):
        return CliRunner().invoke(app, ["record", *arguments])

    assert json.loads(run("inspect", str(record), "--json").stdout)["instances"] == 3
    assert run("inspect", str(record)).exit_code == run("verify", str(record)).exit_code == 0
    assert run("unpack", str(record), "--to", str(tmp_path / "out")).exit_code == 0
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 3
    spoilt = tmp_path / "spoilt"
    data = bytearray(record.read_bytes())
    data[len(data) // 2] ^= 1
    spoilt.write_bytes(data)
    assert run("verify", str(spoilt)).exit_code == 1
    assert run("inspect", str(tmp_path / "nothing")).exit_code == 2
    saved = json.loads(run("savings", str(tmp_path / "out"), "--json").stdout)
    assert saved[0]["instances"] == 3


@pytest.mark.parametrize("published", [True, False])
def test_an_operator_chooses_the_other_bytes_and_the_series_is_published_again(tmp_path, published):
    own = Home(tmp_path / "h")
    own.folder.mkdir()
    images = phantom(2, kinds.PET, 1)
    own.receive(images)
    if published:
        own.publish()
    own.receive([changed(images[1])])
    (conflict,) = own.json("conflicts", "list")
    assert own.run("conflicts", "list").exit_code == 0
    assert own.json("conflicts", "keep", str(conflict["id"]), "other") == {
        "kept": "other",
        "conflict": conflict["id"],
    }
    assert own.json("conflicts", "list") == []
    own.publish()
    assert own.json("status")["catalog"]["published"] == 2
    assert own.json("wait", "--timeout", "0")["pending"]["series"] == 0
    fetched = own.json("fetch", images[1].sop_instance_uid, "--to", str(tmp_path / "o"), cleared=True)
    assert fetched["files"] == 1
    assert (tmp_path / "o" / f"{images[1].sop_instance_uid}.dcm").read_bytes().endswith(b"\7\7")


def test_an_operator_keeps_the_first_bytes(tmp_path):
    own = Home(tmp_path / "h")
    own.folder.mkdir()
    (image,) = phantom(1, kinds.PET, 1)
    own.receive([image])
    own.receive([changed(image)])
    (conflict,) = own.json("conflicts", "list")
    assert own.run("conflicts", "keep", str(conflict["id"]), "stored").exit_code == 0
    assert own.json("conflicts", "list", "--decided")[0]["decided"]
    again = own.run("conflicts", "keep", str(conflict["id"]), "other")
    assert again.exit_code == 1
    assert "nothing changed" in again.output


def test_wait_names_what_is_pending(tmp_path):
    own = Home(tmp_path / "h")
    own.folder.mkdir()
    own.receive(phantom(1))
    done = own.run("wait", "--timeout", "0")
    assert done.exit_code == 1
    assert "waiting until it is complete, 1 instances" in done.output


def test_no_gateway_has_run_here_yet(tmp_path):
    for command in (["status"], ["series", "list"], ["node", "list"]):
        done = Home(tmp_path / "nothing").run(*command)
        assert done.exit_code == 1
        assert "no gateway has run" in done.output.replace("\n", " ")


def test_doctor_names_what_is_broken(tmp_path):
    own = Home(tmp_path / "h")
    own.folder.mkdir()
    own.receive(phantom(1))
    own.publish()
    (own.folder / "keys" / "kek").rename(own.folder / "keys" / "lost")
    for path in own.folder.glob("catalog.sqlite*"):
        path.unlink()
    (own.folder / "catalog.sqlite").write_bytes(b"no database at all" * 100)
    node = own.folder / "nodes" / "node-b"
    node.rename(node.with_name("gone"))
    found = own.json("doctor", code=1)
    trouble = [finding["what"] for finding in found if not finding["well"]]
    assert "the database answers" in trouble
    assert "the keys can be opened" in trouble
    assert "node node-b answers" in trouble
    assert "node node-a answers" not in trouble
    told = own.run("doctor")
    assert told.exit_code == 1
    assert "TROUBLE" in told.output
    assert own.run("status").exit_code == 1
